// Tables whose columns sort, and the buttons below that turn pages.

import { h, link } from "../dom.js";
import { number } from "../format.js";
import { go, to } from "../route.js";

export const PAGE = 50;

// columns: {name, text, sort, numeric, cell(row)}
export function table(caption, columns, rows, page, params) {
  const head = columns.map((column) => heading(column, page, params));
  const body = rows.map((row) => h("tr", {}, columns.map((column) => cell(column, row))));
  return h(
    "div",
    { class: "table-frame", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)),
  );
}

function heading(column, page, params) {
  const properties = { scope: "col", class: column.numeric ? "number" : null };
  if (column.sort === undefined) return h("th", properties, column.text);
  const sorted = (params.sort ?? "") === column.sort;
  const descending = sorted && params.desc === "1";
  if (sorted) properties["aria-sort"] = descending ? "descending" : "ascending";
  // A number is looked at from its largest first.
  const desc = sorted ? (descending ? "" : "1") : column.numeric ? "1" : "";
  const sort = () => go(page, { ...params, sort: column.sort, desc, offset: "" });
  return h("th", properties, h("button", { onclick: sort }, column.text, sorted ? (descending ? " ↓" : " ↑") : ""));
}

function cell(column, row) {
  const content = column.cell(row);
  if (column.isHead) return h("th", { scope: "row" }, content);
  return h("td", { class: [column.numeric ? "number" : "", column.class ?? ""].join(" ").trim() || null }, content);
}

export function pager(total, what, page, params) {
  const offset = Number(params.offset ?? 0);
  const end = Math.min(offset + PAGE, total);
  const turn = (text, place, isThere) => {
    if (!isThere) return h("button", { disabled: true }, text);
    const anchor = link(to(page, { ...params, offset: place || "" }), text);
    anchor.className = "button";
    return anchor;
  };
  return h(
    "nav",
    { class: "row apart", "aria-label": "Pages of the table" },
    h("span", { class: "quiet number" }, total ? `${number(offset + 1)} to ${number(end)} of ${number(total)} ${what}` : `no ${what}`),
    h("span", { class: "row" }, turn("Previous page", Math.max(0, offset - PAGE), offset > 0), turn("Next page", offset + PAGE, end < total)),
  );
}
