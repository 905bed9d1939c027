// Small figures: bars, a curve, a share. Each says in words what it shows, for those who don't see it.

import { h, svg } from "../dom.js";
import { number } from "../format.js";

const HEIGHT = 100;
const WIDTH = 1000;

function frame(low, label, ...content) {
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return h("figure", { class: low ? "chart low" : "chart" }, svg("svg", box, ...content));
}

function axis(...texts) {
  return h("div", { class: "axis" }, ...texts.map((text) => h("span", {}, text)));
}

// A histogram as the server gives it: as many edges as counts means that single values were counted.
export function histogram(data, name, low = false) {
  const most = Math.max(...data.counts);
  const step = WIDTH / data.counts.length;
  const single = data.edges.length === data.counts.length;
  const bars = data.counts.map((count, place) => {
    const height = most ? (count / most) * HEIGHT : 0;
    const range = single ? number(data.edges[place]) : `${number(data.edges[place])} to ${number(data.edges[place + 1])}`;
    const gap = Math.min(step * 0.15, 12);
    const width = Math.min(step - gap, 220);
    const box = { class: "bar-rect", x: step * place + (step - width) / 2, width, y: HEIGHT - height, height };
    return svg("rect", box, svg("title", {}, `${range}: ${number(count)}`));
  });
  const summary = `mean ${number(data.mean)}, median ${number(data.median)}, 90 % up to ${number(data.p90)}, most ${number(data.max)}`;
  const figure = frame(low, `${name}: ${summary}`, ...bars);
  if (single) figure.append(values(data));
  else figure.append(axis(number(data.edges[0]), number(data.edges[data.edges.length - 1])));
  figure.append(h("figcaption", {}, summary));
  return figure;
}

function values(data) {
  const isShort = data.counts.length <= 6;
  const line = axis(...(isShort ? data.edges : [data.edges[0], data.edges[data.edges.length - 1]]).map(number));
  if (isShort) for (const span of line.children) span.classList.add("even");
  return line;
}

// A curve through points (x, y); y from 0 to `top`.
export function curve(points, label, texts, top = 1) {
  const known = points.filter(([, y]) => y !== null);
  const low = Math.min(...known.map(([x]) => x));
  const span = Math.max(...known.map(([x]) => x)) - low || 1;
  const place = ([x, y]) => `${((x - low) / span) * WIDTH} ${HEIGHT - (Math.max(0, Math.min(top, y)) / top) * HEIGHT}`;
  const rules = [0, 0.5, 1].map((y) => svg("line", { class: "rule", x1: 0, x2: WIDTH, y1: HEIGHT * y, y2: HEIGHT * y }));
  const path = svg("path", { class: "curve", d: known.map((point, i) => `${i ? "L" : "M"}${place(point)}`).join("") });
  const dots = known.length <= 20 ? known.map((point) => svg("path", { class: "dot", d: `M${place(point)}h0.01` })) : [];
  const figure = frame(false, label, ...rules, path, ...dots);
  figure.append(axis(...texts));
  return figure;
}

// Sorted shares as touching bars: all solved on the left, none on the right.
export function shares(rates, label) {
  const step = WIDTH / rates.length;
  const bars = rates.map((rate, place) => {
    const kind = rate === 1 ? "scored-fill" : rate === 0 ? "failed-fill" : "masked-fill";
    const height = Math.max(rate * HEIGHT, 2);
    return svg("rect", { class: kind, x: step * place, width: step, y: HEIGHT - height, height });
  });
  return frame(false, label, ...bars);
}

export function share(value) {
  const width = Math.max(0, Math.min(1, value ?? 0)) * 100;
  const box = { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" };
  return h("span", { class: "share" }, svg("svg", box, svg("rect", { class: "scored-fill", width, height: 10 })));
}

// Counts side by side in one line.
export function outcomes(counts, open) {
  const parts = [...Object.entries(counts), ["open", open ?? 0]].filter(([, count]) => count > 0);
  const total = parts.reduce((sum, [, count]) => sum + count, 0) || 1;
  let x = 0;
  const bars = parts.map(([kind, count]) => {
    const rect = svg("rect", { class: `${kind}-fill`, x, width: (count / total) * WIDTH, height: 10 });
    x += (count / total) * WIDTH;
    return rect;
  });
  const words = parts.map(([kind, count]) => `${number(count)} ${named(kind)}`).join(", ");
  const box = { viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", role: "img", "aria-label": words || "nothing settled yet" };
  const legend = parts.map(([kind, count]) => h("span", {}, h("span", { class: `swatch ${kind}-fill` }), `${number(count)} ${named(kind)}`));
  return h("div", {}, h("div", { class: "outcomes" }, svg("svg", box, ...bars)), h("div", { class: "legend" }, legend));
}

function named(kind) {
  return kind === "open" ? "not settled" : kind.replace("_", " ");
}
