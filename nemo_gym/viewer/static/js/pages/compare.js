// Two collections of the same tasks, task by task.

import { exported, get } from "../api.js";
import { h, labelled, link } from "../dom.js";
import { isExported } from "../exported.js";
import { number, percent } from "../format.js";
import { go, to } from "../route.js";

function figure(value, text) {
  return h("div", { class: "figure" }, h("div", { class: "value" }, value), h("div", { class: "name" }, text));
}

function signed(value) {
  return value === null ? "–" : `${value > 0 ? "+" : ""}${number(value)}`;
}

function choice(cards, name, value, params) {
  const select = h("select", { id: `choice-${name}` }, h("option", { value: "" }, "choose a collection"));
  for (const card of cards) select.append(h("option", { value: card.name, selected: card.name === value }, card.name));
  select.addEventListener("change", () => go("compare", { ...params, [name]: select.value }));
  return h("span", { class: "pair" }, h("label", { for: `choice-${name}` }, name.toUpperCase()), select);
}

function reward(collection, task, value) {
  if (exported && (collection !== "exported" || !isExported("task", task))) return number(value);
  return link(to("task", { c: collection, t: task }), number(value));
}

function rows(data, params) {
  return data.tasks.map((task) => h(
    "tr",
    {},
    h("th", { scope: "row" }, task.task === task.task_b ? `Task ${task.task}` : `Task ${task.task}, in B ${task.task_b}`),
    h("td", {}, task.changed_side ? labelled(task.difference > 0 ? "scored" : "failed", task.difference > 0 ? "now mostly solved" : "no longer") : ""),
    h("td", { class: "number" }, reward(params.a, task.task, task.reward_a), ` (${percent(task.solved_a)} of ${number(task.n_a)})`),
    h("td", { class: "number" }, reward(params.b, task.task_b, task.reward_b), ` (${percent(task.solved_b)} of ${number(task.n_b)})`),
    h("td", { class: "number" }, signed(task.difference)),
  ));
}

function result(data, params) {
  if (!data.compared) return h("p", {}, "The two have no scored rollouts of the same tasks.");
  const interval = data.low === null ? "no interval below two tasks" : `95 % interval ${signed(data.low)} to ${signed(data.high)}, p = ${number(Number(data.p_value.toPrecision(2)))}`;
  const how = data.tasks_known ? "" : " Tasks are paired by index, since the rows of one of the two aren't known.";
  const head = ["Task", "Side", "Reward in A (solved)", "Reward in B (solved)", "B − A"].map((text, place) => h("th", { scope: "col", class: place > 1 ? "number" : null }, text));
  return h(
    "div",
    { class: "stack" },
    h("div", { class: "figures" }, figure(signed(data.difference), `B − A, ${interval}`), figure(`${number(data.gained)} / ${number(data.lost)}`, "tasks gained / lost: solved by most rollouts in one and not in the other"), figure(`${number(data.better)} / ${number(data.worse)}`, "tasks with more / less reward in B")),
    h("p", { class: "quiet" }, `The interval is from a paired bootstrap over tasks. ${number(data.compared)} tasks in both; ${number(data.only_a)} only in A, ${number(data.only_b)} only in B.${how}`),
    h("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Tasks" }, h("table", { class: "short" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows(data, params)))),
  );
}

export async function compare(params) {
  const { cards } = exported ? { cards: [] } : await get("collections");
  const data = params.a && params.b ? await get("compare", { a: params.a, b: params.b }) : null;
  return {
    title: "Compare",
    content: h(
      "div",
      { class: "stack" },
      h("h1", {}, "Compare two collections of the same tasks"),
      exported ? h("p", {}, "A is the baseline, B the exported collection.") : h("div", { class: "row" }, choice(cards, "a", params.a, params), choice(cards, "b", params.b, params)),
      data ? result(data, params) : h("p", { class: "quiet" }, cards.length < 2 ? "Only one collection is here: start ng_viewer with a folder that has both." : "Choose both."),
    ),
  };
}
