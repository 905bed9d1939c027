// Light, dark, or as the system is.

import { h } from "../dom.js";

const CHOICES = ["auto", "light", "dark"];

function kept() {
  try {
    return localStorage.getItem("theme") ?? "auto";
  } catch {
    return "auto"; // a page from disk may have no storage
  }
}

function set(choice) {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    localStorage.setItem("theme", choice);
  } catch {
    // It holds for this page then.
  }
}

export function themeChoice() {
  const select = h("select", { "aria-label": "Colours" });
  for (const choice of CHOICES) select.append(h("option", { value: choice, selected: choice === kept() }, choice));
  select.addEventListener("change", () => set(select.value));
  return select;
}

set(CHOICES.includes(kept()) ? kept() : "auto");
