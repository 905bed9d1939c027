// The items of a rollout as people read them.

import { get } from "../api.js";
import { h, visible } from "../dom.js";
import { more } from "./fields.js";
import { number } from "../format.js";
import { markdown } from "./markdown.js";

const MAX_PRETTY = 20_000;
const WHO = { message: "", reasoning: "reasoning", tool_call: "calls", tool_result: "result", other: "" };

function pretty(text) {
  if (text.length > MAX_PRETTY) return text;
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text; // not JSON, or deeper than the parser goes
  }
}

function partOf(item, part) {
  if (part.image) return h("img", { src: part.image, alt: "image in the conversation" });
  if (item.kind === "tool_call" || item.kind === "tool_result" || item.kind === "other") return h("pre", { dir: "auto" }, visible(pretty(part.text)));
  return part.chars > part.text.length ? h("div", { class: "text", dir: "auto" }, visible(part.text)) : markdown(part.text);
}

function parts(item, params) {
  return item.parts.map((part, place) => [partOf(item, part), more(part, params, item.index, place)]);
}

function head(item) {
  const who = item.kind === "message" ? item.role : WHO[item.kind] || item.role;
  return h(
    "div",
    { class: "head" },
    h("span", { class: "who" }, visible(who)),
    item.name ? h("span", { class: "mono" }, visible(item.name)) : null,
    item.call_id ? h("span", { class: "mono" }, visible(item.call_id)) : null,
  );
}

function article(item, params) {
  const side = item.kind === "tool_call" || item.kind === "tool_result" ? "tool" : item.role;
  const known = ["assistant", "user", "tool"].includes(side) ? side : "";
  const content = parts(item, params);
  const body = item.kind === "reasoning" ? h("details", {}, h("summary", {}, "Reasoning"), content) : content;
  return h("article", { class: `item ${known}`, id: `item-${item.index}` }, head(item), body);
}

export function items(list, params) {
  return h("div", {}, list.map((item) => article(item, params)));
}

// The conversation, with a button for each further stretch.
export function conversation(page, params) {
  const box = items(page.items, params);
  let shown = page.items.length;
  const next = () => {
    if (shown >= page.num_items) return;
    const button = h("button", {}, `Show more: ${number(shown)} of ${number(page.num_items)} items are shown`);
    button.addEventListener("click", async () => {
      const further = await get("items", { c: params.c, r: params.r, offset: shown });
      shown += further.length;
      button.replaceWith(...further.map((item) => article(item, params)));
      if (further.length) next();
    });
    box.append(button);
  };
  next();
  return box;
}
