// One task: what is asked, what the verifier knows, and its rollouts side by side.

import { exported, get } from "../api.js";
import { items } from "../parts/conversation.js";
import { h, labelled, link, visible } from "../dom.js";
import { field } from "../parts/fields.js";
import { isExported } from "../exported.js";
import { duration, number } from "../format.js";
import { markdown } from "../parts/markdown.js";
import { go, to } from "../route.js";

function member(one, params) {
  const { rollout, answer } = one;
  const counts = `${number(rollout.counts.steps)} steps, ${number(rollout.counts.tool_calls)} tool calls, ${number(rollout.counts.output_tokens)} tokens${rollout.seconds === null ? "" : `, ${duration(rollout.seconds)}`}`;
  const parts = Object.entries(rollout.numbers).map(([what, value]) => [h("dt", {}, visible(what)), h("dd", {}, number(value))]);
  return h(
    "article",
    { class: "panel" },
    h("h3", {}, exported && !isExported("rollout", rollout.key) ? `Repeat ${rollout.repeat}` : link(to("rollout", { c: params.c, r: rollout.key, q: `task=${rollout.task}`, sort: "task" }), `Repeat ${rollout.repeat}`)),
    h("div", { class: "row" }, h("span", { class: "reward" }, number(rollout.reward)), labelled(rollout.outcome), rollout.truncated ? labelled("masked", "truncated") : null),
    h("p", { class: "quiet small" }, rollout.kind ? visible(rollout.kind) : counts),
    parts.length ? h("dl", { class: "facts small" }, parts) : null,
    h("div", { class: "answer", tabindex: 0, role: "region", "aria-label": `How repeat ${rollout.repeat} ended` }, markdown(answer.text), answer.chars > answer.text.length ? h("p", { class: "quiet" }, "…") : null),
  );
}

export async function task(params) {
  const data = await get("task", { c: params.c, t: params.t });
  const { line } = data;
  const known = Object.entries(data.known);
  const other = (place) => (place === null ? null : () => go("task", { c: params.c, t: place }));
  const turn = (text, place) => h("button", { disabled: place === null, onclick: other(place) }, text);
  return {
    title: `Task ${data.task}`,
    live: true,
    keys: { j: ["next task", () => other(data.after)?.()], k: ["previous task", () => other(data.before)?.()] },
    content: h(
      "div",
      { class: "stack" },
      h("div", { class: "row apart" }, h("h1", {}, `Task ${data.task}`), h("span", { class: "row" }, turn("Previous task", data.before), turn("Next task", data.after))),
      h("p", { class: "quiet" }, `${number(line.solved)} of ${number(line.scored)} scored rollouts solve it; mean reward ${number(line.mean_reward)}, spread ${number(line.spread)}; ${number(line.masked)} masked, ${number(line.failed)} failed.`),
      data.rows > 1 ? h("p", { class: "quiet" }, `Rows ${data.task} to ${data.task + data.rows - 1} of the task file are equal, so they are one task: its repeats are numbered across them.`) : null,
      h("div", { class: "grid" }, h("section", { class: "panel" }, h("h2", {}, "What is asked"), items(data.prompt, params)), h("section", { class: "panel" }, h("h2", {}, "What the verifier knows"), known.length ? known.map(([what, part]) => field(what, part)) : h("p", { class: "quiet" }, "Nothing beside the prompt."))),
      h("h2", {}, "Its rollouts"),
      h("div", { class: "group" }, data.group.map((one) => member(one, params))),
    ),
  };
}
