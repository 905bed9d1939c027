// All tags and notes of a collection.

import { address, exported, get } from "../api.js";
import { h, labelled, link, visible } from "../dom.js";
import { isExported } from "../exported.js";
import { number, time } from "../format.js";
import { table } from "../parts/table.js";
import { to } from "../route.js";

function columns(params) {
  const open = (one) => (!exported || isExported("rollout", one.rollout) ? link(to("rollout", { c: params.c, r: one.rollout }), one.rollout) : one.rollout);
  return [
    { text: "Rollout", isHead: true, cell: open },
    { text: "Tags", cell: (one) => one.tags.map((tag) => [labelled("tag", visible(tag)), " "]) },
    { text: "Note", class: "preview", cell: (one) => h("div", { class: "text" }, visible(one.note)) },
    { text: "When", numeric: true, cell: (one) => time(one.at) },
  ];
}

function byTag(notes, params) {
  const counts = new Map();
  for (const tag of notes.flatMap((one) => one.tags)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const entries = [...counts].sort(([, a], [, b]) => b - a);
  return entries.map(([tag, count]) => {
    const anchor = link(to("rollouts", { c: params.c, q: `tag="${tag.replaceAll('"', "")}"` }), visible(tag), ` ${number(count)}`);
    anchor.className = "button";
    return anchor;
  });
}

// The file has no server to ask: it makes the lines itself.
function download(notes) {
  const lines = notes.map((one) => `${JSON.stringify(one)}\n`).join("");
  const anchor = h("a", { href: URL.createObjectURL(new Blob([lines], { type: "application/jsonl" })), download: "notes.jsonl", class: "button" }, "All as JSONL");
  return anchor;
}

export async function notes(params) {
  const found = Object.values((await get("notes", { c: params.c })).notes).sort((a, b) => b.at - a.at);
  const file = exported ? download(found) : h("a", { href: address("notes.jsonl", { c: params.c }), download: "notes.jsonl", class: "button" }, "All as JSONL");
  const nothing = h("p", { class: "quiet" }, "No rollout has a tag or a note yet. They are made on the page of a rollout.");
  return {
    title: `Notes of ${params.c}`,
    content: h(
      "div",
      { class: "stack" },
      h("h1", {}, "Notes"),
      found.length ? [h("div", { class: "row apart" }, h("div", { class: "row" }, byTag(found, params)), file), table("Notes", columns(params), found, "notes", params)] : nothing,
    ),
  };
}
