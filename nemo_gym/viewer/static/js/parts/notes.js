// The reader's tags and note of a rollout.

import { address, get, post } from "../api.js";
import { h, labelled, say, visible } from "../dom.js";

export async function notesPanel(params) {
  const panel = h("section", { class: "panel", id: "notes" });
  const draw = ({ tags, notes }) => {
    const mine = notes[params.r] ?? { tags: [], note: "" };
    const offered = [...new Set([...tags, ...mine.tags])];
    const text = h("textarea", { id: "note", "aria-label": "Note", placeholder: "A note for yourself or for who reads this next" });
    text.value = mine.note;
    const problem = h("p", { class: "bad", role: "alert" });
    const save = async (changed) => {
      try {
        draw(await post("notes", { c: params.c }, { rollout: params.r, tags: mine.tags, note: text.value, ...changed }));
        say("saved");
      } catch (error) {
        problem.textContent = error.message;
      }
    };
    const toggle = (tag) => save({ tags: mine.tags.includes(tag) ? mine.tags.filter((other) => other !== tag) : [...mine.tags, tag] });
    const buttons = offered.map((tag) => h("button", { "aria-pressed": String(mine.tags.includes(tag)), "data-tag": tag, onclick: () => toggle(tag) }, visible(tag)));
    const own = h("input", { "aria-label": "A tag of your own", placeholder: "another tag", size: 12 });
    own.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && own.value.trim() && !mine.tags.includes(own.value.trim())) toggle(own.value.trim());
    });
    panel.replaceChildren(
      h("h2", {}, "Tags and notes"),
      h("div", { class: "row" }, buttons, own),
      h("p"),
      text,
      h("div", { class: "row apart" }, h("button", { onclick: () => save({}) }, "Save the note"), h("a", { href: address("notes.jsonl", { c: params.c }), download: "notes.jsonl" }, "All notes as JSONL")),
      problem,
    );
  };
  draw(await get("notes", { c: params.c }));
  return panel;
}

// What the reader has said, in a file that can't be written to; nothing where there is nothing.
export async function notesShown(params) {
  const mine = (await get("notes", { c: params.c })).notes[params.r];
  if (!mine) return null;
  const tags = h("p", {}, mine.tags.map((tag) => [labelled("tag", visible(tag)), " "]));
  return h("section", { class: "panel" }, h("h2", {}, "Tags and notes"), tags, h("p", { class: "text" }, visible(mine.note)));
}

// Presses the button of a tag that is offered.
export function pressTag(tag) {
  for (const button of document.querySelectorAll("#notes button[data-tag]")) if (button.dataset.tag === tag) button.click();
}
