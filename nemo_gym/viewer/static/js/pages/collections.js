// All collections below the folder.

import { get } from "../api.js";
import { outcomes } from "../parts/charts.js";
import { h, labelled, link, visible } from "../dom.js";
import { number, percent, time } from "../format.js";
import { to } from "../route.js";

function settledText(card) {
  const identity = card.identity;
  return identity.expected === null ? number(identity.settled) : `${number(identity.settled)} of ${number(identity.expected)}`;
}

function row(card) {
  const name = link(to("overview", { c: card.name }), visible(card.name));
  if (!card.identity) return h("tr", {}, h("th", { scope: "row" }, name), h("td", { colspan: 7, class: "quiet" }, "being read …"));
  const identity = card.identity;
  const open = identity.expected === null ? 0 : Math.max(0, identity.expected - identity.settled);
  const state = card.progress < 1 ? `read to ${percent(card.progress)}` : identity.state;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", {}, labelled(identity.state, state)),
    h("td", { class: "number" }, settledText(card)),
    h("td", { class: "tiny" }, outcomes(card.counts, open)),
    h("td", { class: "number" }, number(card.mean_reward)),
    h("td", {}, visible(identity.agent || "–")),
    h("td", {}, visible(identity.model || "–")),
    h("td", { class: "number" }, time(identity.started_at ?? identity.changed_at)),
  );
}

export async function collections() {
  const shelf = await get("collections");
  const columns = ["Collection", "State", "Settled", "Outcomes", "Mean reward", "Agent", "Model", "Started"];
  const numeric = new Set(["Started", "Settled", "Mean reward"]);
  const head = columns.map((text) => h("th", { scope: "col", class: numeric.has(text) ? "number" : null }, text));
  const body = shelf.cards.map(row);
  const table = h("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Collections" },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
  const nothing = h("p", {}, "No rollout file is below this folder yet. A collection appears here once it has begun.");
  return {
    title: "Collections",
    content: h("div", { class: "stack" }, h("h1", {}, "Collections"), h("p", { class: "quiet" }, "In ", h("span", { class: "mono" }, shelf.folder)), body.length ? table : nothing),
    polls: shelf.cards.length === 0 || shelf.cards.some((card) => card.progress < 1 || card.identity?.state === "running"),
  };
}
