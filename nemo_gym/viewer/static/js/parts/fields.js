// Fields of a row, and texts that are longer than what was sent.

import { exported, getText } from "../api.js";
import { h, visible } from "../dom.js";
import { number } from "../format.js";

const MAX_SHOWN = 1_000_000;

export function field(name, part) {
  const short = part.text.length <= 60 && !part.text.includes("\n");
  const value = short ? h("div", { class: "mono" }, visible(part.text)) : h("pre", {}, visible(part.text));
  const more = part.chars > part.text.length ? h("p", { class: "quiet small" }, `… ${number(part.chars)} characters in all; the raw line has them.`) : null;
  return h("div", { class: "field" }, h("div", { class: "name" }, visible(name)), value, more);
}

// A button that shows the whole of a shortened text, up to a million characters of it.
export function more(part, params, item, place) {
  if (part.chars <= part.text.length) return null;
  if (exported) return h("p", { class: "quiet small" }, `… ${number(part.chars)} characters in all; the exported file has these.`);
  const box = h("div", {});
  const button = h("button", { class: "plain" }, `Show all ${number(part.chars)} characters`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const text = await getText("text", { c: params.c, r: params.r, item, part: place });
    const shown = text.slice(0, MAX_SHOWN);
    box.replaceChildren(h("pre", {}, shown));
    if (text.length > MAX_SHOWN) box.append(h("p", { class: "quiet" }, `The first ${number(MAX_SHOWN)}; the raw line has the rest.`));
  });
  box.append(button);
  return box;
}
