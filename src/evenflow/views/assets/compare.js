// Two runs on one scale, by layers that have the same name, and where they differ.

import { ask, askGrid, runPath, words } from "./api.js";
import { el, number } from "./dom.js";
import { Heat } from "./heat.js";
import { keep, link } from "./route.js";
import { Tree } from "./tree.js";

const TALL = 320;

export async function showCompare(main, state) {
  const names = [state.get("a") || "", state.get("b") || ""];
  const summaries = await Promise.all(names.map((name) => ask(runPath(name, "summary"))));
  const shared = summaries[0].pictures.map((p) => p.name).filter((n) => summaries[1].pictures.some((p) => p.name === n));
  let picture = shared.includes(state.get("picture")) ? state.get("picture") : shared[0];
  const choice = el("select", { "aria-label": words.picture }, shared.map((n) => el("option", { value: n }, n)));
  choice.value = picture;
  const heats = names.map(() => new Heat(el("canvas", { role: "img", "aria-label": words.heatmap })));
  const labels = names.map(() => el("p", { class: "quiet" }));
  const table = el("tbody");
  main.replaceChildren(
    el("section", {}, el("h1", {}, words.compare), el("div", { class: "tools" }, choice, el("span", { class: "quiet" }, words.one_scale))),
    el("div", { class: "pair" }, names.map((name, i) => el("section", { class: "card" }, el("h2", {}, el("a", { href: link("run", name) }, name)), heats[i].canvas, labels[i]))),
    el("section", { class: "card" }, el("h2", {}, words.difference), el("div", { class: "scroller" }, el("table", { class: "runs" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, words.site), ...names.map((n) => el("th", { scope: "col" }, n)), el("th", { scope: "col" }, words.difference))), table))));

  async function draw() {
    const firsts = await Promise.all(names.map((name) => askGrid(name, { picture })));
    const scale = { low: Math.min(...firsts.map((g) => g.low)), high: Math.max(...firsts.map((g) => g.high)), log: firsts[0].log };
    const grids = await Promise.all(names.map((name) => askGrid(name, { picture, ...scale })));
    grids.forEach((grid, i) => {
      const heat = heats[i], tree = new Tree(summaries[i].sites, grid.rows);
      heat.grid = grid;
      heat.least = grid.worst;
      heat.rows = tree.rows().filter((row) => row.open !== true);
      heat.height = Math.max(2, Math.floor(TALL / Math.max(heat.rows.length, 1)));
      heat.canvas.style.height = `${Math.min(heat.rows.length * heat.height, TALL)}px`;
      [heat.from, heat.to] = [0, grid.total];
      heat.draw();
      const end = (v) => number(grid.log ? 10 ** v : v);
      labels[i].textContent = `${picture}: ${end(grid.low)} … ${end(grid.high)}`;
    });
    const values = await Promise.all(names.map((name) => ask(runPath(name, "step"), { pictures: picture })));
    const by = summaries.map((s, i) => new Map(s.sites.map((site) => [site.name, values[i].values[picture]?.[site.id]])));
    table.replaceChildren(...[...by[0]].filter(([site, v]) => typeof v === "number" && typeof by[1].get(site) === "number").map(([site, v]) => {
      const other = by[1].get(site), gap = grids[0].log ? Math.log10(Math.abs(other / v)) : other - v;
      return el("tr", {}, el("th", { scope: "row" }, site), el("td", { class: "figure" }, number(v)), el("td", { class: "figure" }, number(other)), el("td", { class: "figure" }, Number.isFinite(gap) ? `${gap > 0 ? "+" : ""}${gap.toFixed(2)}`.replace("-", "−") : "–"));
    }));
  }

  choice.addEventListener("change", () => { picture = choice.value; keep({ picture }); draw(); });
  await draw();
  const sized = new ResizeObserver(() => heats.forEach((h) => h.draw()));
  heats.forEach((h) => sized.observe(h.canvas));
  return () => sized.disconnect();
}
