// Answers from an exported file: the server's own, kept by name; the table is filtered and sorted here.

let content = null;

function loaded() {
  content ??= JSON.parse(document.getElementById("exported").textContent);
  return content;
}

function value(rollout, sort) {
  return rollout[sort] ?? rollout.counts[sort] ?? rollout.numbers[sort] ?? null;
}

function compared(a, b) {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

// One word of a filter: `name<value` on what the table has, or a word of the line.
function meets(one, word) {
  const [, field, operator, wanted] = /^([\w.]+)(!=|<=|>=|=|<|>)"?([^"]*)"?$/.exec(word) ?? [];
  if (!field) return JSON.stringify(one).toLowerCase().includes(word.replaceAll('"', "").toLowerCase());
  const found = value(one, field);
  const order = compared(found, typeof found === "number" ? Number(wanted) : wanted);
  if (operator === "!=") return order !== 0;
  if (found === null) return false;
  return (operator.includes("=") && order === 0) || (operator[0] === "<" && order < 0) || (operator[0] === ">" && order > 0);
}

function rollouts({ q = "", sort = "", desc, offset = 0, limit = 50 }) {
  const all = loaded().rollouts;
  const words = q.match(/[^\s"]*"[^"]*"|\S+/g) ?? [];
  let found = all.rollouts.filter((one) => words.every((word) => meets(one, word)));
  if (sort) found = [...found].sort((a, b) => compared(value(a, sort), value(b, sort)));
  if (desc) found = [...found].reverse();
  return { ...all, total: found.length, rollouts: found.slice(Number(offset), Number(offset) + Number(limit)) };
}

function neighbours({ r, q, sort, desc }) {
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

export function answer(name, params) {
  if (name === "rollouts") return rollouts(params);
  if (name === "neighbours") return neighbours(params);
  const kept = loaded()[name];
  const found = params.r === undefined ? kept : kept?.[params.r];
  if (found === undefined) throw new Error("this is not in the exported file: open the collection with ng_viewer");
  return found;
}
