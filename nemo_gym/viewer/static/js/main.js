// From a link to a page: asks for its data, shows it, keeps it fresh while the collection changes.

import { exported } from "./api.js";
import { h, link, say } from "./dom.js";
import { isExported } from "./exported.js";
import { number } from "./format.js";
import { useKeys } from "./keys.js";
import { follow } from "./live.js";
import { collections } from "./pages/collections.js";
import { compare } from "./pages/compare.js";
import { notes } from "./pages/notes.js";
import { overview } from "./pages/overview.js";
import { rollout } from "./pages/rollout.js";
import { rollouts } from "./pages/rollouts.js";
import { task } from "./pages/task.js";
import { tasks } from "./pages/tasks.js";
import { current, to } from "./route.js";
import { themeChoice } from "./parts/theme.js";

// Each takes the link's parameters and returns {title, content, keys, live, polls}: `live` pages are made anew on a
// change of their collection, `polls` pages every three seconds.
const PAGES = { collections, overview, tasks, task, rollouts, rollout, notes, compare };
const TABS = [["overview", "Overview"], ["tasks", "Tasks"], ["rollouts", "Rollouts"], ["notes", "Notes"], ["compare", "Compare"]];
const OF_TAB = { task: "tasks", rollout: "rollouts" };

const top_ = document.getElementById("top");
const main = document.getElementById("main");
const theme = themeChoice();
let shown = 0;
let last = { live: false, took: 0, at: 0 };
let waiting = null;
let polling = null;

function header(page, params) {
  const tabs = TABS.filter(([tab]) => !exported || tab !== "compare" || isExported("compare"));
  const name = exported ? "exported" : (params.c ?? params.a);
  const compared = exported ? { a: "baseline", b: "exported" } : { a: name, b: params.b };
  const nav = name
    ? h("nav", { "aria-label": "Collection" }, tabs.map(([tab, text]) => {
        const anchor = link(to(tab, tab === "compare" ? compared : { c: name }), text);
        if (tab === (OF_TAB[page] ?? page)) anchor.setAttribute("aria-current", "page");
        return anchor;
      }))
    : null;
  const home = link(exported ? to("overview", { c: "exported" }) : "#/", exported ? "Exported rollouts" : "Collections");
  home.className = "brand";
  top_.replaceChildren(h("div", { class: "bar" }, home, name && !exported ? h("span", { class: "quiet" }, name) : null, nav, h("span", { class: "spacer" }), theme));
}

function problem(error) {
  return h("div", { class: "problem-box", role: "alert" }, h("h1", {}, "This can't be shown"), h("p", {}, error.message));
}

async function show({ anew }) {
  const { page, params } = current();
  const turn = (shown += 1);
  const began = performance.now();
  let made;
  try {
    made = await (PAGES[page] ?? PAGES.collections)(params);
  } catch (error) {
    made = { title: "Not found", content: problem(error), live: true };
  }
  if (turn !== shown) return; // meanwhile somebody went on
  last = { live: made.live ?? false, took: performance.now() - began, at: performance.now() };
  clearTimeout(polling);
  if (made.polls) polling = setTimeout(() => show({ anew: false }), 3000);
  const focused = anew ? null : place(document.activeElement);
  main.replaceChildren(made.content);
  useKeys(made.keys);
  document.title = `${made.title} · rollouts`;
  if (anew) {
    header(page, params);
    window.scrollTo(0, 0);
    say(made.title);
    if (document.activeElement === document.body || document.activeElement === null) main.focus({ preventScroll: true });
    follow(params.c ?? null, changed);
  } else focused?.();
}

// How to focus the same element again after the page was made anew.
function place(element) {
  if (!element || !main.contains(element) || element === main) return null;
  if (element.id) return () => document.getElementById(element.id)?.focus({ preventScroll: true });
  const number = [...main.querySelectorAll("a, button, select, [tabindex]")].indexOf(element);
  return () => main.querySelectorAll("a, button, select, [tabindex]")[number]?.focus({ preventScroll: true });
}

function changed(state) {
  const [reading, settled] = ["reading", "settled"].map((id) => document.getElementById(id));
  if (reading && state) reading.value = state.progress;
  if (settled && state) settled.textContent = number(state.settled);
  if (!last.live || waiting) return;
  // What is collected goes first: making the page anew takes at most a hundredth of the time.
  const pause = Math.min(Math.max(2000, last.took * 100), 30000) - (performance.now() - last.at);
  waiting = setTimeout(() => {
    waiting = null;
    const writes = document.activeElement?.closest?.("input, textarea, select");
    const busy = document.querySelector("dialog[open]") || writes;
    if (busy) changed();
    else if (last.live) show({ anew: false });
  }, Math.max(0, pause));
}

window.addEventListener("hashchange", () => show({ anew: true }));
if (exported && !location.hash) location.hash = to("overview", { c: "exported" });
else show({ anew: true });
