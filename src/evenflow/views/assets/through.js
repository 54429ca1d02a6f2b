// Through time: a cell that is called once a time step, its calls as rows; of fused layers what the
// gradient gains from the last time step back to the first.

import { askGrid, askRun, words } from "./api.js";
import { curve } from "./curves.js";
import { el, number } from "./dom.js";
import { Heat } from "./heat.js";
import { decoded } from "./palette.js";
import { legend } from "./picture.js";

const CALLS = 3, TALL = 420;

// Groups of sites that are one operation done again and again: [{key, name, kind, ids}], in order.
// A module that is called again says so itself; what stands beside it on one line of a loop counts
// with it where it is done as often.
export function recurrent(sites) {
  const groups = new Map();
  for (const site of sites) {
    const line = site.lines.filter((w) => w.kind === "called").map((w) => `${w.file}:${w.line}:${w.column}`)[0];
    const key = [site.root, site.path, site.op, site.call || !line ? site.index : line].join("/");
    const again = [site.root, site.path, site.op, site.index].join("/");
    const group = groups.get(site.call ? again : key) || groups.get(again) || { key, name: site.name, kind: site.kind, ids: [], calls: false };
    group.ids.push(site.id);
    group.calls ||= site.call > 0;
    groups.set(key, group);
    groups.set(again, group);
  }
  const all = [...new Set(groups.values())], often = new Set(all.filter((g) => g.calls && g.ids.length >= CALLS).map((g) => g.ids.length));
  return all.filter((g) => g.kind === "recurrent" || (g.ids.length >= CALLS && (g.calls || often.has(g.ids.length))));
}

export async function showThrough(box, run, onSite) {
  const groups = recurrent(run.summary.sites), { picture } = run.shown;
  const choice = el("select", { "aria-label": words.site }, groups.map((g, i) => el("option", { value: i }, g.name)));
  const body = el("div"), ends = [];
  box.replaceChildren(el("div", { class: "tools" }, choice), body);

  async function draw() {
    ends.splice(0).forEach((end) => end());
    const group = groups[Number(choice.value)];
    if (group.ids.length >= CALLS) await called(body, run, group, picture, onSite, ends);
    else await fused(body, run, group, ends);
  }

  choice.addEventListener("change", draw);
  await draw();
  return { end: () => ends.forEach((end) => end()), paint() {} };
}

// Time steps x training steps, the last time step at the bottom, next to the loss.
async function called(body, run, group, picture, onSite, ends) {
  const grid = await askGrid(run.name, { picture });
  const rows = group.ids.map((id, t) => ({ id, t, positions: [grid.rows.indexOf(id)], open: null })).filter((row) => row.positions[0] >= 0);
  const heat = new Heat(el("canvas", { role: "img", tabindex: 0, "aria-label": `${words.through_time}: ${group.name}` }));
  const said = el("p", { class: "quiet hint" }, words.time_hint), scale = el("div", { class: "legend" });
  body.replaceChildren(said, el("div", { class: "frame heat" }, heat.canvas), scale);
  heat.least = grid.worst;
  heat.fit(grid, rows, TALL);
  scale.replaceChildren(...legend(heat));
  heat.canvas.addEventListener("pointermove", (event) => {
    const found = heat.at(event.offsetX, event.offsetY);
    if (found) said.textContent = `t = ${found.row.t} · ${words.step} ${found.step.toLocaleString(words.code)} · ${picture} ${number(decoded(found.code, grid))}`;
  });
  heat.canvas.addEventListener("click", (event) => { const found = heat.at(event.offsetX, event.offsetY); if (found) onSite(found.row.id); });
  const sized = new ResizeObserver(() => heat.draw());
  sized.observe(heat.canvas);
  ends.push(() => sized.disconnect());
}

async function fused(body, run, group, ends) {
  const told = await askRun(run.name, "site", { id: group.ids[0] });
  const of = (metric) => told.readings.find((r) => r.metric === metric)?.points;
  const flow = of("flow"), steps = of("flow_steps")?.[1].find((v) => v !== null);
  if (!flow) {
    body.replaceChildren(el("p", { class: "quiet" }, words.not_measured));
    return;
  }
  const last = flow[1].filter((v) => v !== null).at(-1), plot = el("div", { class: "plot" });
  body.replaceChildren(
    el("p", { class: "hint" }, words.flow_said.replace("{steps}", number(steps)).replace("{decades}", number(last))), plot);
  const made = curve(plot, "flow", flow, [], () => {});
  ends.push(made.end);
}
