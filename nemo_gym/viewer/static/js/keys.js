// Keys: each page names its own; `?` shows them.

import { h } from "./dom.js";

const COMMON = {
  "/": ["to the filter", () => document.getElementById("filter")?.focus()],
  "?": ["this list", () => help()],
};
let own = {};

export function useKeys(keys) {
  own = keys ?? {};
}

function help() {
  const rows = Object.entries({ ...own, ...COMMON }).map(([key, [meaning]]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)]);
  const close = h("button", {}, "Close");
  const dialog = h("dialog", { "aria-labelledby": "keys-title" }, h("h2", { id: "keys-title" }, "Keys"), h("dl", { class: "facts" }, rows), h("p"), close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  const writes = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
  if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const found = own[event.key] ?? COMMON[event.key];
  if (found) {
    event.preventDefault();
    found[1]();
  }
});
