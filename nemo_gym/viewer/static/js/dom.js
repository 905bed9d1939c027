// Elements without HTML text: what a model wrote only ever becomes text nodes.

const SVG = "http://www.w3.org/2000/svg";
// Characters that show nothing, or change the order of what is around them.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(4).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export function h(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

// Text with its invisible and reordering characters made visible.
export function visible(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(CONTROL)) {
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    fragment.append(text.slice(end, match.index), h("span", { class: "control", title: `character U+${code}` }, code));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

export function link(href, ...children) {
  return h("a", { href }, ...children);
}

export function labelled(kind, text = kind) {
  return h("span", { class: `label ${kind.replace(" ", "-")}` }, text);
}

export function say(text) {
  document.getElementById("status").textContent = text;
}
