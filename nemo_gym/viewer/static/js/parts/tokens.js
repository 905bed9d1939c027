// The token view: what each call generated, shaded by log-probability, and where a prefix breaks.

import { exported, get } from "../api.js";
import { h, visible } from "../dom.js";
import { number } from "../format.js";

// Bounds of the shades, natural logarithms: 90 %, 50 %, 14 %, 2 %.
const SHADES = [-0.105, -0.693, -2, -4];

function shade(logProb) {
  if (logProb === null || logProb === undefined) return "unknown";
  const place = SHADES.findIndex((bound) => logProb >= bound);
  return `p${place < 0 ? SHADES.length : place}`;
}

function title(call, place, offset) {
  const logProb = call.log_probs[place];
  const chance = logProb === null || logProb === undefined ? "no log-probability" : `${number(logProb)} (${(Math.exp(logProb) * 100).toPrecision(3)} %)`;
  const id = call.ids[place] === null ? "" : `id ${call.ids[place]}, `;
  return `token ${offset + place}: ${id}${chance}`;
}

// A token without a text of its own is shown by its id: nobody has told it, or it is a piece of a character.
function token(call, place, offset) {
  const text = call.texts[place];
  const properties = { class: `token ${shade(call.log_probs[place])}`, title: title(call, place, offset) };
  if (!text) return h("span", { ...properties, class: `${properties.class} id` }, call.ids[place] === null ? "–" : String(call.ids[place]));
  return h("span", properties, visible(text.replaceAll("\n", "⏎\n")));
}

function run(call, offset) {
  return call.ids.map((_, place) => token(call, place, offset));
}

function facts(call) {
  const known = call.log_probs.filter((value) => value !== null);
  const mean = known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  const prompt = call.prompt_tokens === null ? "" : `prompt ${number(call.prompt_tokens)} tokens, ${number(call.added_tokens)} of them new; `;
  return `${prompt}generated ${number(call.generated_tokens)}; mean log-probability ${number(mean)}`;
}

function block(call, params) {
  const list = h("div", { class: "tokens", dir: "auto" }, run(call, 0));
  const box = h("section", { class: "panel" }, h("h2", {}, `Call ${call.call + 1}`), broken(call), h("p", { class: "quiet small" }, facts(call)), list);
  let shown = call.ids.length;
  const next = () => {
    if (exported || shown >= call.generated_tokens) return;
    const button = h("button", {}, `Show more: ${number(shown)} of ${number(call.generated_tokens)} tokens`);
    button.addEventListener("click", async () => {
      const [more] = await get("tokens", { c: params.c, r: params.r, call: call.call, offset: shown });
      button.remove();
      list.append(...run(more, shown));
      shown += more.ids.length;
      if (more.ids.length) next();
    });
    box.append(button);
  };
  next();
  return box;
}

function broken(call) {
  const found = call.prefix_break;
  if (!found) return null;
  const tokens = (texts) => h("span", { class: "tokens" }, texts.length ? texts.map((text) => h("span", { class: "token unknown" }, visible(text.replaceAll("\n", "⏎") || "–"))) : "the end");
  return h(
    "div",
    { class: "problem-box" },
    h("p", { class: "bad" }, `Prefix break: the prompt differs from the calls before it at position ${number(found.position)}.`),
    h("dl", { class: "facts small" }, h("dt", {}, "calls before"), h("dd", {}, tokens(found.expected)), h("dt", {}, "this prompt"), h("dd", {}, tokens(found.found))),
  );
}

function legend() {
  const texts = ["90 % or more", "50 % or more", "14 % or more", "2 % or more", "less"];
  return h("p", { class: "small" }, "Probability of the token: ", texts.map((text, place) => [h("span", { class: `token p${place}` }, text), " "]));
}

// Where ids stand for texts, why, and what to do about it.
function missing(calls) {
  const ids = calls.some((call) => call.texts.some((text, place) => text === null && call.ids[place] !== null));
  if (!ids) return null;
  const fix = exported ? "this file was written without a tokenizer." : "start ng_viewer with +tokenizer=<tokenizer.json or its folder> to read them.";
  return h("p", { class: "quiet small" }, `A number is the id of a token whose text the model server hasn't told: ${fix}`);
}

export async function tokenView(params) {
  const calls = await get("tokens", { c: params.c, r: params.r });
  if (!calls.length) return h("p", { class: "quiet" }, "This rollout has no token data.");
  return h("div", { class: "stack" }, legend(), missing(calls), calls.map((call) => block(call, params)));
}
