// The calls of a rollout in order, as buttons that lead to them; beside each, where the row has times, when and how long.

import { h, svg, visible } from "../dom.js";
import { duration, number } from "../format.js";

const SHOWN = 100;
const WIDTH = 1000;
const KINDS = { seed: "session", model: "model", tool: "tools", turn: "user", verify: "verify" };

function span(calls) {
  return Math.max(...calls.map((call) => call.start_s + call.elapsed_s)) || 1;
}

function bar(call, whole) {
  // A call that took no time to speak of is still there to be seen.
  const width = Math.max((call.elapsed_s / whole) * WIDTH, 4);
  const x = Math.min((call.start_s / whole) * WIDTH, WIDTH - width);
  const box = { viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", "aria-hidden": "true" };
  return h("span", { class: "lane" }, svg("svg", box, svg("rect", { class: `${call.kind}-fill`, x, width, height: 10 })));
}

function leads(call) {
  if (call.item !== null) return () => jump(call.item);
  return call.kind === "verify" ? () => document.getElementById("verdict")?.scrollIntoView() : null;
}

function row(call, whole) {
  const go = leads(call);
  const name = visible(call.name.slice(0, 40));
  const label = go ? h("button", { onclick: go, title: call.name.slice(0, 200) }, name) : h("span", { class: "still" }, name);
  if (whole === null) return h("li", { class: call.kind }, label);
  const title = `begins at ${duration(call.start_s)}`;
  return h("li", { class: call.kind }, label, bar(call, whole), h("span", { class: "number quiet", title }, duration(call.elapsed_s)));
}

function jump(index) {
  for (const marked of document.querySelectorAll(".item.marked")) marked.classList.remove("marked");
  const item = document.getElementById(`item-${index}`);
  item?.classList.add("marked");
  item?.scrollIntoView({ block: "start" });
}

// Seconds by kind of call: they may add up to more than the whole where calls run side by side.
function sums(calls, page) {
  const total = {};
  for (const call of calls) total[call.kind] = (total[call.kind] ?? 0) + call.elapsed_s;
  const parts = Object.entries(KINDS).filter(([kind]) => kind in total).map(([kind, text]) => `${text} ${duration(total[kind])}`);
  const whole = page.seconds === null ? "" : `${duration(page.seconds)} in all: `;
  return h("p", { class: "quiet small" }, whole + parts.join(", "));
}

export function timeline(page) {
  const calls = page.timeline;
  if (!calls.length) return h("p", { class: "quiet small" }, "No call is in the files.");
  const isTimed = calls[0].start_s !== null;
  const whole = isTimed ? span(calls) : null;
  const rows = calls.slice(0, SHOWN).map((call) => row(call, whole));
  const rest = calls.length > SHOWN ? h("p", { class: "quiet small" }, `The first ${number(SHOWN)} of ${number(calls.length)}.`) : null;
  const words = isTimed ? sums(calls, page) : h("p", { class: "quiet small" }, "The row has no times of calls.");
  return [h("ol", { class: isTimed ? "timeline timed" : "timeline", "aria-label": "Calls in order" }, rows), rest, words];
}
