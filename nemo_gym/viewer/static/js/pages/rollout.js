// One rollout: its conversation, its verdict, its tokens, its raw line.

import { address, exported, get, getText } from "../api.js";
import { conversation } from "../parts/conversation.js";
import { h, labelled, link, say, visible } from "../dom.js";
import { isExported } from "../exported.js";
import { field } from "../parts/fields.js";
import { bytes, duration, name, number, time } from "../format.js";
import { notesPanel, notesShown, pressTag } from "../parts/notes.js";
import { go, to } from "../route.js";
import { timeline } from "../parts/timeline.js";
import { tokenView } from "../parts/tokens.js";

const MAX_RAW = 400_000;

function section(title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...content);
}

function verdict(page) {
  const counts = Object.entries(page.counts).map(([what, count]) => [h("dt", {}, name(what)), h("dd", { class: "number" }, number(count))]);
  return h(
    "section",
    { class: "panel", id: "verdict" },
    h("h2", {}, "Verdict"),
    h("div", { class: "row" }, h("span", { class: "reward" }, number(page.reward)), labelled(page.outcome), page.truncated ? labelled("masked", "truncated") : null),
    page.kind ? h("p", { class: "bad" }, visible(page.kind), page.stage ? ` at ${page.stage}` : "") : null,
    page.reason ? h("p", { class: "text" }, visible(page.reason)) : null,
    Object.entries(page.verdict).map(([what, part]) => (what === "reward_parts" && rewardParts(part)) || field(what, part)),
    h("dl", { class: "facts small" }, counts, page.seconds === null ? null : [h("dt", {}, "took"), h("dd", { class: "number" }, duration(page.seconds))], h("dt", {}, "length of the line"), h("dd", { class: "number" }, bytes(page.length))),
  );
}

function rewardParts(part) {
  try {
    const entries = Object.entries(JSON.parse(part.text));
    const rows = entries.map(([what, value]) => [h("dt", {}, visible(what)), h("dd", { class: "number" }, visible(typeof value === "number" ? number(value) : JSON.stringify(value)))]);
    return h("div", { class: "field" }, h("div", { class: "name" }, "parts of the reward"), h("dl", { class: "facts" }, rows));
  } catch {
    return null; // shortened, or not an object: shown as it is
  }
}

function attempts(page) {
  const ended = (place) => (place === page.attempts.length - 1 && page.outcome !== "failed" ? "settled" : "cut off");
  if (page.attempts.length < 2 && !page.attempts.some((one) => one.kind)) return null;
  const rows = page.attempts.map((one, place) => h("li", {}, `${time(one.at)}: `, one.kind ? [visible(one.kind), ` at ${one.stage}, after ${duration(one.elapsed_s)}. `, visible(one.reason.slice(0, 300))] : ended(place)));
  return section("Attempts", h("ol", {}, rows));
}

async function copies(params) {
  const texts = await get("copies", { c: params.c, r: params.r });
  const button = (text, label) => {
    if (!text) return null;
    const copy = h("button", {}, label);
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        say("copied");
        copy.textContent = "Copied";
      } catch {
        box.replaceChildren(h("pre", { class: "raw" }, text)); // no clipboard: to be selected by hand
      }
    });
    return copy;
  };
  const box = h("div", {});
  return section("Copy as", h("div", { class: "row" }, button(texts.curl, "curl"), button(texts.pytest_case, "pytest case"), button(texts.task_row, "task row")), box);
}

async function rawView(params) {
  const text = await getText("raw", { c: params.c, r: params.r });
  let shown = text;
  if (text.length <= MAX_RAW) {
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // As it is then.
    }
  }
  const rest = text.length > MAX_RAW ? h("p", {}, `The first ${number(MAX_RAW)} of ${number(text.length)} characters. `, exported ? null : h("a", { href: address("raw", { c: params.c, r: params.r }), download: `rollout-${params.r}.json` }, "All of it")) : null;
  return h("div", {}, rest, h("pre", { class: "raw" }, visible(shown.slice(0, MAX_RAW))));
}

const VIEWS = { conversation: "Conversation", tokens: "Tokens", raw: "Raw JSON" };

function bar(params, page, beside) {
  const view = params.view ?? "conversation";
  const open = (key) => () => key && go("rollout", { ...params, r: key });
  const look = (which) => () => go("rollout", { ...params, view: which === "conversation" ? "" : which });
  const tabs = Object.entries(VIEWS).filter(([which]) => which !== "tokens" || page.has_tokens).map(([which, text]) => h("button", { "aria-pressed": String(which === view), onclick: look(which) }, text));
  const position = beside.position === null ? "not in this filter" : `${number(beside.position + 1)} of ${number(beside.total)}`;
  const turns = [["Previous", beside.before], ["Next", beside.after], ["Next failure", beside.next_failure]].map(([text, key]) => h("button", { disabled: !key, onclick: open(key) }, text));
  const keys = {
    j: ["next rollout", open(beside.after)],
    k: ["previous rollout", open(beside.before)],
    f: ["next failed or masked rollout", open(beside.next_failure)],
    c: ["conversation", look("conversation")],
    t: ["tokens", look("tokens")],
    r: ["raw JSON", look("raw")],
    u: ["up to the table", () => go("rollouts", { c: params.c, q: params.q, sort: params.sort, desc: params.desc })],
    g: ["tag: good", () => pressTag("good")],
    b: ["tag: bad", () => pressTag("bad")],
    v: ["tag: verifier wrong", () => pressTag("verifier wrong")],
  };
  const row = h("div", { class: "row apart" }, h("div", { class: "row", role: "group", "aria-label": "Views" }, tabs), h("div", { class: "row" }, h("span", { class: "quiet number" }, position), turns));
  return { row, keys };
}

export async function rollout(params) {
  const which = { q: params.q, sort: params.sort, desc: params.desc };
  const [page, beside] = await Promise.all([get("rollout", { c: params.c, r: params.r }), get("neighbors", { c: params.c, r: params.r, ...which })]);
  const { row, keys } = bar(params, page, beside);
  const content = params.view === "tokens" ? await tokenView(params) : params.view === "raw" ? await rawView(params) : h("div", { class: "panel" }, conversation(page, params));
  const known = Object.entries(page.known);
  return {
    title: `Rollout ${page.key}`,
    keys,
    content: h(
      "div",
      { class: "stack" },
      h("div", { class: "row" }, h("h1", {}, `Rollout ${page.key}`), exported && !isExported("task", page.task) ? null : link(to("task", { c: params.c, t: page.task }), `Task ${page.task}`)),
      row,
      page.error ? h("div", { class: "problem-box", role: "alert" }, visible(page.error)) : null,
      h(
        "div",
        { class: "rollout" },
        content,
        h(
          "div",
          { class: "side" },
          verdict(page),
          section("Calls in order", timeline(page)),
          attempts(page),
          known.length ? section("What the verifier knows", known.map(([what, part]) => field(what, part))) : null,
          page.tools.length ? section("Tools", h("p", { class: "mono" }, visible(page.tools.join(", ")))) : null,
          exported ? await notesShown(params) : await notesPanel(params),
          exported ? null : await copies(params),
        ),
      ),
    ),
  };
}
