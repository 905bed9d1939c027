// The filter: one line of text that is in the link, and buttons that write into it.

import { h } from "../dom.js";
import { go } from "../route.js";

const OUTCOMES = ["scored", "masked", "failed"];

function without(query, name) {
  return query.replace(new RegExp(`(^|\\s)${name}(=|!=|<=|>=|<|>)("[^"]*"|\\S*)`, "g"), " ").replace(/\s+/g, " ").trim();
}

function quoted(value) {
  return /[\s"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value;
}

export function filterBar(page, params, { kinds = [], numbers = [] } = {}) {
  const apply = (q) => go(page, { ...params, q, offset: "" });
  const input = h("input", { id: "filter", type: "search", value: params.q ?? "", spellcheck: "false", autocomplete: "off", "aria-describedby": "filter-help" });
  const query = () => input.value.trim();
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") apply(query());
    if (event.key === "Escape") input.blur();
  });
  const choice = (name, values, label) => {
    const chosen = new RegExp(`(?:^|\\s)${name}="?([^"\\s]*)`).exec(params.q ?? "")?.[1] ?? "";
    const select = h("select", { "aria-label": label }, h("option", { value: "" }, label));
    for (const value of values) select.append(h("option", { value, selected: value === chosen }, value));
    select.addEventListener("change", () => apply(`${without(query(), name)}${select.value ? ` ${name}=${quoted(select.value)}` : ""}`.trim()));
    return select;
  };
  return h(
    "div",
    { role: "search", "aria-label": "Rollouts" },
    h(
      "div",
      { class: "filter" },
      h("label", { class: "visually-hidden", for: "filter" }, "Filter"),
      input,
      h("button", { onclick: () => apply(query()) }, "Filter"),
      choice("outcome", OUTCOMES, "any outcome"),
      kinds.length ? choice("kind", kinds, "any kind") : null,
      params.q ? h("button", { onclick: () => apply("") }, "Clear") : null,
    ),
    h("p", { class: "quiet small", id: "filter-help" }, help(numbers)),
  );
}

function help(numbers) {
  const own = numbers.length ? `, ${numbers.slice(0, 6).join(", ")}` : "";
  return `For example: reward<1 steps>=3 tag=good "some words". Numbers: reward, task, repeat, steps, tool_calls, tool_errors, input_tokens, output_tokens, seconds, bytes, truncated${own}; any other field of the verdict by its name.`;
}
