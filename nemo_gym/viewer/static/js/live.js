// The stream of events of the collection on the screen.

import { exported } from "./api.js";

let source = null;
let name = null;

// Calls `changed(state)` after each change of the collection; `name` null ends it.
export function follow(collection, changed) {
  if (collection === name) {
    if (source) source.onmessage = (event) => changed(JSON.parse(event.data));
    return;
  }
  source?.close();
  source = null;
  name = collection;
  if (!collection || exported) return;
  source = new EventSource(`/api/events?${new URLSearchParams({ c: collection })}`);
  source.onmessage = (event) => changed(JSON.parse(event.data));
}
