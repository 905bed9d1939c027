// The token view: what each call generated, shaded by log-probability, and where a prefix breaks.

import { exported, get } from "../api.js";
import { h } from "../dom.js";
import { number } from "../format.js";

// Bounds of the shades, natural logarithms: 90 %, 50 %, 14 %, 2 %.
const SHADES = [-0.105, -0.693, -2, -4];

function shade(logProb) {
  if (logProb === null || logProb === undefined) return "unknown";
  const place = SHADES.findIndex((bound) => logProb >= bound);
  return `p${place < 0 ? SHADES.length : place}`;
}

function token(id, logProb, position) {
  const chance = logProb === null || logProb === undefined ? "no log-probability" : `${number(logProb)} (${(Math.exp(logProb) * 100).toPrecision(3)} %)`;
  return h("span", { class: `token ${shade(logProb)}`, title: `token ${position}: id ${id}, ${chance}` }, String(id));
}

function facts(call) {
  const known = call.log_probs.filter((value) => value !== null);
  const mean = known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  return `prompt ${number(call.prompt_tokens)} tokens, ${number(call.added_tokens)} of them new; generated ${number(call.generated_tokens)}; mean log-probability ${number(mean)}`;
}

function block(call, params) {
  const list = h("div", { class: "tokens" }, call.ids.map((id, place) => [token(id, call.log_probs[place], place), " "]));
  const box = h("section", { class: "panel" }, h("h2", {}, `Call ${call.call + 1}`), broken(call), h("p", { class: "quiet small" }, facts(call)), list);
  let shown = call.ids.length;
  const next = () => {
    if (exported || shown >= call.generated_tokens) return;
    const button = h("button", {}, `Show more: ${number(shown)} of ${number(call.generated_tokens)} tokens`);
    button.addEventListener("click", async () => {
      const [more] = await get("tokens", { c: params.c, r: params.r, call: call.call, offset: shown });
      button.remove();
      list.append(...more.ids.flatMap((id, place) => [token(id, more.log_probs[place], shown + place), " "]));
      shown += more.ids.length;
      if (more.ids.length) next();
    });
    box.append(button);
  };
  next();
  return box;
}

function broken(call) {
  if (call.breaks_at === null) return null;
  return h("p", { class: "bad" }, `Prefix break: the prompt differs from the calls before it at position ${number(call.breaks_at)}.`);
}

function legend() {
  const texts = ["90 % or more", "50 % or more", "14 % or more", "2 % or more", "less"];
  return h("p", { class: "tokens" }, "Probability of the token: ", texts.map((text, place) => [h("span", { class: `token p${place}` }, text), " "]));
}

export async function tokenView(params) {
  const calls = await get("tokens", { c: params.c, r: params.r });
  if (!calls.length) return h("p", { class: "quiet" }, "This rollout has no token data.");
  return h("div", { class: "stack" }, legend(), calls.map((call) => block(call, params)));
}
