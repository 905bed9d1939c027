// Where we are: `#/page?name=value`. Everything that a page shows is in its link.

export function current() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { page: path || "collections", params: Object.fromEntries(new URLSearchParams(query)) };
}

export function to(page, params = {}) {
  const kept = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  return `#/${page}${query ? `?${query}` : ""}`;
}

export function go(page, params) {
  location.hash = to(page, params);
}
