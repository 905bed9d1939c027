// One collection at a glance.

import { exported, get } from "../api.js";
import { curve, histogram, outcomes, shares } from "../parts/charts.js";
import { h, labelled, link, visible } from "../dom.js";
import { isExported } from "../exported.js";
import { duration, name, number, percent, time } from "../format.js";
import { to } from "../route.js";

function figure(value, text) {
  return h("div", { class: "figure" }, h("div", { class: "value" }, value), h("div", { class: "name" }, text));
}

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...content);
}

function figures(data) {
  const { identity } = data;
  const settled = [h("span", { id: "settled" }, number(identity.settled)), identity.expected === null ? null : ` / ${number(identity.expected)}`];
  const plusMinus = data.standard_error === null ? "" : ` ± ${Number(data.standard_error.toPrecision(2))}`;
  const first = data.pass_at_k["1"];
  return h(
    "div",
    { class: "figures" },
    figure(settled, "settled"),
    figure(number(data.mean_reward) + plusMinus, "mean reward ± standard error"),
    first === undefined ? null : figure(percent(first), "pass@1"),
    figure(percent(data.truncated_share), "truncated"),
    data.counts.masked && identity.settled ? figure(percent(data.counts.masked / identity.settled), "masked") : null,
    data.rate === null ? null : figure(`${number(data.rate)} / s`, "settled, last minute"),
    data.eta_s === null ? null : figure(duration(data.eta_s), "left"),
  );
}

function rewards(data) {
  if (!data.rewards) return panel("Reward", h("p", { class: "quiet" }, "No scored rollout yet."));
  return panel("Reward", histogram(data.rewards, "Rewards"));
}

function overTime(data) {
  const known = data.over_time.map((mean, place) => [place, mean]);
  if (known.length < 2) return null;
  const top = Math.max(1, ...data.over_time);
  const label = `Mean reward over the collection: from ${number(known[0][1])} to ${number(known[known.length - 1][1])}`;
  return panel("Reward over the collection", curve(known, label, ["first rollouts", "last"], top), h("p", { class: "quiet small" }, `In the order in which they ended; the top is ${number(top)}.`));
}

function passAtK(data) {
  const points = Object.entries(data.pass_at_k).map(([k, value]) => [Number(k), value]);
  if (points.length < 2) return null;
  const words = points.map(([k, value]) => `pass@${k} ${percent(value)}`).join(", ");
  const ends = [`k = ${points[0][0]}`, `k = ${points[points.length - 1][0]}`];
  return panel("pass@k", curve(points, words, ends), h("p", { class: "quiet small" }, words));
}

function signal(data, params) {
  const { tasks } = data;
  if (!tasks.tasks) return null;
  const label = `${tasks.all_solved} tasks always solved, ${tasks.mixed} sometimes, ${tasks.none_solved} never`;
  return panel(
    "Where there is signal",
    shares(tasks.rates, label),
    h("div", { class: "legend" }, h("span", {}, h("span", { class: "swatch scored-fill" }), `${number(tasks.all_solved)} always solved`), h("span", {}, h("span", { class: "swatch masked-fill" }), `${number(tasks.mixed)} mixed`), h("span", {}, h("span", { class: "swatch failed-fill" }), `${number(tasks.none_solved)} never`)),
    h("p", { class: "small" }, link(to("tasks", { c: params.c, sort: "spread", desc: "1" }), "Tasks, the most mixed first")),
  );
}

function example(one, params) {
  return exported && !isExported("rollout", one.example) ? one.example : link(to("rollout", { c: params.c, r: one.example }), one.example);
}

function problems(data, params) {
  if (!data.problems.length) return null;
  const rows = data.problems.map((one) => {
    const filter = `outcome=${one.outcome} kind=${/\s/.test(one.kind) ? `"${one.kind}"` : one.kind}`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, link(to("rollouts", { c: params.c, q: filter }), visible(one.kind || "unnamed"))),
      h("td", {}, labelled(one.outcome)),
      h("td", {}, one.stage || "–"),
      h("td", { class: "number" }, number(one.count)),
      h("td", { class: "preview" }, example(one, params), " ", visible(one.reason)),
    );
  });
  const head = ["Kind", "Outcome", "Stage", "Rollouts", "An example"].map((text) => h("th", { scope: "col", class: text === "Rollouts" ? "number" : null }, text));
  return h("section", {}, h("h2", {}, "Failed and masked"), h("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Failed and masked" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}

function identityPanel(data) {
  const { identity } = data;
  const facts = [
    ["Agent", visible(identity.agent || "–")],
    ["Model", visible(identity.model || "–")],
    ["Started", time(identity.started_at)],
    ["Last change", time(identity.changed_at)],
    ["Tasks", identity.tasks === null ? "–" : `${number(identity.tasks)}, ${identity.repeats === null ? `${number(identity.expected)} rollouts` : `${number(identity.repeats)} rollouts each`}`],
    ["File", h("span", { class: "mono" }, visible(identity.path))],
    ...Object.entries(identity.versions).map(([what, version]) => [what, version]),
  ];
  const settings = h("dl", { class: "facts small" }, Object.entries(identity.settings).map(([key, value]) => [h("dt", { class: "mono" }, key), h("dd", { class: "mono" }, visible(typeof value === "string" ? value : JSON.stringify(value)))]));
  return panel("What this is", h("dl", { class: "facts" }, facts.map(([what, value]) => [h("dt", {}, what), h("dd", {}, value)])), Object.keys(identity.settings).length ? h("details", {}, h("summary", {}, "Settings"), settings) : null);
}

export async function overview(params) {
  const data = await get("overview", { c: params.c });
  const spreads = Object.entries(data.per_rollout).map(([what, spread]) => panel(`${name(what)} per rollout`.replace(/^./, (first) => first.toUpperCase()), histogram(spread, name(what), true)));
  const parts = Object.entries(data.numbers).map(([what, spread]) => panel(visible(what.replace("reward_parts.", "Reward part: ")), histogram(spread, what, true)));
  const reading = data.progress < 1 ? h("p", {}, h("label", {}, "Being read ", h("progress", { id: "reading", value: data.progress, max: 1 }))) : null;
  const damage = data.num_damaged ? h("div", { class: "problem-box" }, h("p", {}, `${number(data.num_damaged)} lines can't be read. The first:`), h("p", { class: "mono" }, visible(data.damaged[0]))) : null;
  return {
    title: params.c,
    live: true,
    content: h(
      "div",
      { class: "stack" },
      h("div", { class: "row" }, h("h1", {}, visible(params.c)), labelled(data.identity.state)),
      reading,
      figures(data),
      outcomes(data.counts, data.not_settled),
      damage,
      problems(data, params),
      h("div", { class: "grid" }, rewards(data), signal(data, params), passAtK(data), overTime(data)),
      parts.length ? h("h2", {}, "What the verifier says") : null,
      parts.length ? h("div", { class: "grid" }, parts) : null,
      h("div", { class: "grid" }, spreads, identityPanel(data)),
    ),
  };
}
