// The rollouts of a collection as a table.

import { get } from "../api.js";
import { h, labelled, link, visible } from "../dom.js";
import { filterBar } from "../parts/filter.js";
import { duration, name, number } from "../format.js";
import { go, to } from "../route.js";
import { PAGE, pager, table } from "../parts/table.js";

const MAX_NUMBERS = 4;

function columns(params, numbers, tags) {
  const open = (one) => link(to("rollout", { c: params.c, r: one.key, q: params.q, sort: params.sort, desc: params.desc }), one.key);
  const count = (field, text) => ({ text, sort: field, numeric: true, cell: (one) => number(one.counts[field]) });
  return [
    { text: "Rollout", sort: "task", isHead: true, cell: open },
    { text: "Outcome", sort: "outcome", cell: (one) => [labelled(one.outcome), one.kind ? h("div", { class: "small quiet kind" }, visible(one.kind)) : null] },
    { text: "Reward", sort: "reward", numeric: true, cell: (one) => number(one.reward) },
    ...numbers.map((field) => ({ text: visible(name(field.replace("reward_parts.", ""))), sort: field, numeric: true, cell: (one) => number(one.numbers[field]) })),
    count("steps", "Steps"),
    count("tool_calls", "Tool calls"),
    count("tool_errors", "Tool errors"),
    count("output_tokens", "Tokens out"),
    { text: "Took", sort: "seconds", numeric: true, cell: (one) => duration(one.seconds) },
    { text: "How it ended", class: "preview", cell: (one) => h("div", { class: "clamp" }, (tags[one.key]?.tags ?? []).map((tag) => [labelled("tag", visible(tag)), " "]), one.truncated ? [labelled("masked", "truncated"), " "] : null, visible(one.preview)) },
  ];
}

export async function rollouts(params) {
  const asked = { c: params.c, q: params.q, sort: params.sort, desc: params.desc, offset: params.offset, limit: PAGE };
  let data;
  let error = "";
  try {
    data = await get("rollouts", asked);
  } catch (problem) {
    // The filter stays on the page, to be corrected.
    error = problem.message;
    data = { total: 0, rollouts: [], number_names: [], kinds: [], is_partial: false };
  }
  const { notes } = await get("notes", { c: params.c });
  const shown = data.number_names.slice(0, MAX_NUMBERS);
  const turn = (by) => {
    const offset = Number(params.offset ?? 0) + by * PAGE;
    if (offset >= 0 && offset < data.total) go("rollouts", { ...params, offset: offset || "" });
  };
  return {
    title: `Rollouts of ${params.c}`,
    live: true,
    keys: { n: ["next page", () => turn(1)], p: ["previous page", () => turn(-1)] },
    content: h(
      "div",
      { class: "stack" },
      h("h1", {}, "Rollouts"),
      filterBar("rollouts", params, { kinds: data.kinds, numbers: data.number_names }),
      error ? h("p", { class: "bad", role: "alert" }, error) : null,
      data.is_partial ? h("p", { class: "warn" }, "There was no time to search every rollout: narrow the filter by a number or an outcome.") : null,
      table("Rollouts", columns(params, shown, notes), data.rollouts, "rollouts", params),
      pager(data.total, "rollouts", "rollouts", params),
    ),
  };
}
