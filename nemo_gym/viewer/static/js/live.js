// The stream of events of the collection on the screen.

import { exported } from "./api.js";

let source = null;
let name = null;
let notify = () => {};

function connect() {
  source?.close();
  source = null;
  // A browser keeps six connections to one host for all its tabs, so a hidden one gives up its own.
  if (!name || exported || document.hidden) return;
  source = new EventSource(`/api/events?${new URLSearchParams({ c: name })}`);
  source.onmessage = (event) => notify(JSON.parse(event.data));
}

// Calls `changed(state)` at once and after each change of the collection; `collection` null ends it.
export function follow(collection, changed) {
  notify = changed;
  if (collection === name) return;
  name = collection;
  connect();
}

document.addEventListener("visibilitychange", connect);
