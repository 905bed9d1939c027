// The data: asked of the server, or taken from the file that this page was exported into.

import { answer } from "./exported.js";

export const exported = document.getElementById("exported");

function path(name, params) {
  const kept = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  return `/api/${name}${query ? `?${query}` : ""}`;
}

async function checked(response) {
  if (response.ok) return response;
  let reason = `${response.status} ${response.statusText}`;
  try {
    const body = await response.json();
    if (typeof body.error === "string") reason = body.error;
  } catch {
    // The status says enough.
  }
  throw new Error(reason);
}

export async function get(name, params = {}) {
  if (exported) return answer(name, params);
  return (await checked(await fetch(path(name, params)))).json();
}

export async function getText(name, params = {}) {
  if (exported) return answer(name, params);
  return (await checked(await fetch(path(name, params)))).text();
}

export async function post(name, params, body) {
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  return (await checked(await fetch(path(name, params), request))).json();
}

export function address(name, params) {
  return path(name, params);
}
