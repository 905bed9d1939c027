// Answers from an exported file: the server's own, kept by name; the table is filtered and sorted here.

let content = null;

function loaded() {
  content ??= JSON.parse(document.getElementById("exported").textContent);
  return content;
}

function value(one, sort) {
  return one[sort] ?? one.counts?.[sort] ?? one.numbers?.[sort] ?? told(one, sort);
}

// A field of the verdict or of the task; of a nested one `outer.inner`.
function told(one, field) {
  const page = loaded().rollout[one.key];
  const found = page?.verdict[field] ?? page?.known[field];
  if (found) return found.text !== "" && Number.isFinite(Number(found.text)) ? Number(found.text) : found.text;
  try {
    const [outer, ...rest] = field.split(".");
    return rest.reduce((inner, name) => inner?.[name], JSON.parse(page.verdict[outer].text)) ?? null;
  } catch {
    return null; // there is no such field, or it is shortened
  }
}

function compared(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}

// Those without a value come last, whichever way the others go.
function sorted(rows, sort, desc) {
  if (!sort) return desc ? [...rows].reverse() : rows;
  const known = rows.filter((one) => value(one, sort) !== null);
  known.sort((a, b) => compared(value(a, sort), value(b, sort)) * (desc ? -1 : 1));
  return [...known, ...rows.filter((one) => value(one, sort) === null)];
}

// The task that a row of the task file is: several rows may be one.
function taskOf(row) {
  return loaded().rollouts.rollouts.find((one) => one.key.startsWith(`${row}-`))?.task ?? row;
}

// One word of a filter: `name<value` on what the table has, or a word of the line.
function meets(one, word) {
  const [, field, operator, text] = /^([\w.]+)(!=|<=|>=|=|<|>)"?([^"]*)"?$/.exec(word) ?? [];
  if (!field) return occurs(word.replaceAll('"', ""), loaded().raw[one.key] ?? JSON.stringify(one));
  const wanted = field === "task" && (operator === "=" || operator === "!=") ? taskOf(text) : text;
  const found = field === "tag" ? tagFound(one, wanted) : value(one, field);
  const order = compared(found, typeof found === "number" ? Number(wanted) : wanted);
  if (operator === "!=") return order !== 0;
  if (found === null) return false;
  return (operator.includes("=") && order === 0) || (operator[0] === "<" && order < 0) || (operator[0] === ">" && order > 0);
}

// Without regard to case unless a capital is in the word, as the server does it.
function occurs(word, line) {
  const wanted = JSON.stringify(word).slice(1, -1);
  return (wanted === wanted.toLowerCase() ? line.toLowerCase() : line).includes(wanted);
}

function tagFound(one, tag) {
  return (loaded().notes.notes[one.key]?.tags ?? []).includes(tag) ? tag : "";
}

function admitted(q) {
  const words = q.match(/[^\s"]*"[^"]*"|\S+/g) ?? [];
  return loaded().rollouts.rollouts.filter((one) => words.every((word) => meets(one, word)));
}

function page(rows, { sort = "", desc, offset = 0, limit = 50 }) {
  return sorted(rows, sort, desc === "1").slice(Number(offset), Number(offset) + Number(limit));
}

function rollouts(params) {
  const found = admitted(params.q ?? "");
  return { ...loaded().rollouts, total: found.length, rollouts: page(found, params) };
}

// A filter is of rollouts: its tasks are theirs.
function tasks(params) {
  const admits = params.q ? new Set(admitted(params.q).map((one) => one.task)) : null;
  const found = loaded().tasks.tasks.filter((one) => !admits || admits.has(one.task));
  return { total: found.length, tasks: page(found, params) };
}

function neighbors({ r, q, sort, desc }) {
  const keys = rollouts({ q, sort, desc, offset: 0, limit: 1e9 }).rollouts;
  const position = keys.findIndex((one) => one.key === r);
  const failure = keys.slice(position + 1).find((one) => one.outcome === "failed" || one.outcome === "masked");
  return {
    position: position < 0 ? null : position,
    total: keys.length,
    before: keys[position - 1]?.key ?? null,
    after: position < 0 ? null : (keys[position + 1]?.key ?? null),
    next_failure: failure?.key ?? null,
  };
}

const MADE_HERE = { rollouts, tasks, neighbors };

// Whether the file has a page, or one of a rollout or task.
export function isExported(name, key) {
  return (key === undefined ? loaded()[name] : loaded()[name]?.[key]) !== undefined;
}

export function answer(name, params) {
  if (name in MADE_HERE) return MADE_HERE[name](params);
  const kept = loaded()[name];
  const key = params.r ?? (params.t === undefined ? undefined : taskOf(params.t));
  const found = key === undefined ? kept : kept?.[key];
  if (found === undefined) throw new Error("this is not in the exported file: open the collection with ng_viewer");
  return found;
}
