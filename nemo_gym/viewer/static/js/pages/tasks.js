// The tasks of a collection as a table.

import { exported, get } from "../api.js";
import { share } from "../parts/charts.js";
import { h, link, visible } from "../dom.js";
import { filterBar } from "../parts/filter.js";
import { isExported } from "../exported.js";
import { number } from "../format.js";
import { to } from "../route.js";
import { PAGE, pager, table } from "../parts/table.js";

function columns(params) {
  const numeric = (field, text) => ({ text, sort: field, numeric: true, cell: (one) => number(one[field]) });
  return [
    { text: "Task", sort: "task", isHead: true, cell: (one) => (exported && !isExported("task", one.task) ? String(one.task) : link(to("task", { c: params.c, t: one.task }), String(one.task))) },
    numeric("mean_reward", "Mean reward"),
    numeric("spread", "Spread"),
    { text: "Solved", sort: "solved", numeric: true, cell: (one) => [`${number(one.solved)} of ${number(one.scored)}`, share(one.scored ? one.solved / one.scored : 0)] },
    numeric("masked", "Masked"),
    numeric("failed", "Failed"),
    numeric("steps", "Steps"),
    numeric("output_tokens", "Tokens out"),
    { text: "What is asked", class: "preview", cell: (one) => h("div", { class: "clamp" }, visible(one.prompt)) },
  ];
}

export async function tasks(params) {
  const asked = { c: params.c, q: params.q, sort: params.sort, desc: params.desc, offset: params.offset, limit: PAGE };
  let data;
  let error = "";
  try {
    data = await get("tasks", asked);
  } catch (problem) {
    error = problem.message;
    data = { total: 0, tasks: [] };
  }
  return {
    title: `Tasks of ${params.c}`,
    live: true,
    content: h(
      "div",
      { class: "stack" },
      h("h1", {}, "Tasks"),
      filterBar("tasks", params),
      error ? h("p", { class: "bad", role: "alert" }, error) : null,
      table("Tasks", columns(params), data.tasks, "tasks", params),
      pager(data.total, "tasks", "tasks", params),
      h("p", { class: "quiet small" }, "Spread is the standard deviation of a task's rewards: 0 where there is nothing to learn from comparing its rollouts."),
    ),
  };
}
