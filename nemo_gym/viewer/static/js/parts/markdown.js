// Markdown as elements, built from the parser's tokens. No HTML text is made anywhere, and HTML in the source is text.

import { h, visible } from "../dom.js";

const parser = globalThis.markdownit({ html: false, linkify: false, maxNesting: 40 });
const HEADINGS = new Set(["h1", "h2", "h3", "h4", "h5", "h6"]);
const ALLOWED = new Set(["p", "ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "s"]);

function opened(token) {
  // Not real headings: they would stand among the page's own.
  if (HEADINGS.has(token.tag)) return h("p", { class: `heading ${token.tag}` });
  if (token.tag === "a") return anchor(token.attrGet("href"));
  if (token.tag === "ol") return h("ol", { start: /^\d{1,9}$/.test(token.attrGet("start") ?? "") ? token.attrGet("start") : null });
  return h(ALLOWED.has(token.tag) ? token.tag : "div", {});
}

function anchor(href) {
  if (!/^https?:\/\//i.test(href ?? "")) return h("span", { title: href ?? "" });
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href });
}

function leaf(token) {
  switch (token.type) {
    case "text":
    case "text_special":
    case "html_inline":
    case "html_block":
      return visible(token.content);
    case "softbreak":
    case "hardbreak":
      return h("br");
    case "hr":
      return h("hr");
    case "code_inline":
      return h("code", {}, visible(token.content));
    case "fence":
    case "code_block":
      return h("pre", {}, h("code", {}, visible(token.content)));
    case "image":
      return h("span", { class: "quiet" }, "[image ", visible(token.content), ": ", visible(token.attrGet("src") ?? ""), "]");
    default:
      return visible(token.content);
  }
}

function fill(root, tokens) {
  const open = [root];
  for (const token of tokens) {
    const top = open[open.length - 1];
    if (token.type === "inline") fill(top, token.children ?? []);
    else if (token.nesting === 1) {
      const element = opened(token);
      if (token.hidden) element.classList.add("tight");
      top.append(element);
      open.push(element);
    } else if (token.nesting === -1) {
      if (open.length > 1) open.pop();
    } else top.append(leaf(token));
  }
}

export function markdown(text) {
  const root = h("div", { class: "markdown", dir: "auto" });
  try {
    fill(root, parser.parse(text, {}));
  } catch {
    root.replaceChildren(h("div", { class: "text" }, visible(text)));
  }
  return root;
}
