// Two runs on one scale, by layers that have the same name, and how far they are apart.

import { askGrid, askRun, spoken, words } from "./api.js";
import { el, number } from "./dom.js";
import { Heat, place } from "./heat.js";
import { kept } from "./kept.js";
import { MISSING, TOP, decoded, differing } from "./palette.js";
import { legend } from "./picture.js";
import { keep, link } from "./route.js";
import { Tree } from "./tree.js";

const TALL = 320, COLUMNS = 400, ROWS = 120;

export async function showCompare(main, state) {
  const view = new Compare(main, [state.get("a") || "", state.get("b") || ""], state.get("picture"));
  await view.open();
  return () => view.sized.disconnect();
}

class Compare {
  constructor(main, names, picture) {
    Object.assign(this, { main, names, picture });
  }

  async open() {
    this.summaries = await Promise.all(this.names.map((name) => askRun(name, "summary")));
    await spoken();
    const [mine, theirs] = this.summaries.map((s) => s.pictures.map((p) => p.name));
    const shared = mine.filter((n) => theirs.includes(n));
    if (!shared.includes(this.picture)) this.picture = shared[0];
    this.choice = el("select", { "aria-label": words.picture }, shared.map((n) => el("option", { value: n }, n)));
    this.choice.value = this.picture;
    this.choice.addEventListener("change", () => { this.picture = this.choice.value; keep({ picture: this.picture }); this.draw(); });
    this.heats = this.names.map((name) => new Heat(el("canvas", { class: "wide", role: "img", "aria-label": `${words.heatmap}: ${name}` })));
    this.between = new Heat(el("canvas", { class: "wide", role: "img", "aria-label": words.difference }), differing);
    this.legends = [0, 1, 2].map(() => el("div", { class: "legend" }));
    this.tip = el("p", { class: "quiet hint" });
    this.table = el("tbody");
    this.lay();
    await this.draw();
    this.sized = new ResizeObserver(() => [...this.heats, this.between].forEach((h) => h.draw()));
    for (const heat of [...this.heats, this.between]) this.sized.observe(heat.canvas);
  }

  lay() {
    const card = kept.on ? "" : "card", title = (name) => (kept.on ? name : el("a", { href: link("run", name) }, name));
    const head = [words.site, ...this.names, words.difference].map((text) => el("th", { scope: "col" }, text));
    this.main.replaceChildren(
      el("section", {}, kept.on ? "" : el("h1", {}, words.compare), el("div", { class: "tools" }, this.choice, el("span", { class: "quiet" }, words.one_scale))),
      el("div", { class: "pair" }, this.names.map((name, i) => el("section", { class: card }, el("h2", {}, title(name)), this.heats[i].canvas, this.legends[i]))),
      el("section", { class: card }, el("h2", {}, words.difference), this.tip, this.between.canvas, this.legends[2],
        el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.difference }, el("table", { class: "runs" }, el("thead", {}, el("tr", {}, head)), this.table))));
    this.between.canvas.addEventListener("pointermove", (event) => this.point(event));
  }

  async draw() {
    const asked = (scale) => Promise.all(this.names.map((name) => askGrid(name, { picture: this.picture, ...scale })));
    const firsts = await asked({});
    const scale = { low: Math.min(...firsts.map((g) => g.low)), high: Math.max(...firsts.map((g) => g.high)), log: firsts[0].log };
    const grids = await asked(scale);
    grids.forEach((grid, i) => {
      const heat = this.heats[i], tree = new Tree(this.summaries[i].sites, grid.rows);
      tree.shut(ROWS);
      heat.least = grid.worst;
      const plain = grid.rows.map((id, p) => ({ name: this.summaries[i].sites[id].name, positions: [p], open: null }));
      heat.fit(grid, plain.length <= ROWS ? plain : tree.rows().filter((row) => row.open !== true), TALL);
      this.legends[i].replaceChildren(...legend(heat));
    });
    this.drawBetween(grids);
    await this.list(grids[0].log);
  }

  // Second minus first, at the same steps, of the layers that both have.
  drawBetween(grids) {
    const [a, b] = grids, names = (i) => new Map(grids[i].rows.map((id, row) => [this.summaries[i].sites[id].name, row]));
    const [first, second] = [names(0), names(1)], shared = [...first.keys()].filter((n) => second.has(n));
    const last = Math.min(a.steps.at(-1) ?? 0, b.steps.at(-1) ?? 0), most = Math.max(last + 1, 1), columns = Math.min(COLUMNS, most);
    const steps = Array.from({ length: columns }, (_, c) => Math.floor((c * most) / columns));
    const codes = new Uint8Array(shared.length * columns).fill(MISSING), gaps = new Float32Array(codes.length).fill(NaN);
    const at = (grid, row, step) => decoded((grid.worst ? grid.least : grid.largest)[row * grid.columns + Math.max(place(grid.steps, step + 1) - 1, 0)], grid);
    shared.forEach((name, row) => steps.forEach((step, c) => {
      const [v, w] = [at(a, first.get(name), step), at(b, second.get(name), step)];
      if (!Number.isFinite(v ?? NaN) || !Number.isFinite(w ?? NaN)) return;
      gaps[row * columns + c] = a.log ? Math.log10(w / v) : w - v;
    }));
    const reach = a.log ? 4 : 1;
    gaps.forEach((gap, i) => { if (Number.isFinite(gap)) codes[i] = Math.round(((Math.min(Math.max(gap / reach, -1), 1) + 1) / 2) * TOP); });
    Object.assign(this, { gaps, shared, columns });
    const grid = { rows: shared.map((_, i) => i), columns, level: 0, steps, start: 0, stop: columns, total: columns, low: -reach, high: reach, log: false, least: codes, largest: codes, worst: true };
    this.between.fit(grid, shared.map((name, i) => ({ name, positions: [i], open: null })), TALL);
    this.legends[2].replaceChildren(...(shared.length ? legend(this.between) : []));
    this.unit = a.log ? words.decades : "";
    this.tip.textContent = shared.length ? words.difference_hint : words.nothing_shared;
  }

  point(event) {
    const found = this.between.at(event.offsetX, event.offsetY);
    if (!found) return;
    const column = this.between.column(found.step), gap = this.gaps[found.position * this.columns + column];
    this.tip.textContent = `${found.row.name} · ${words.step} ${found.step.toLocaleString(words.code)} · ${signed(gap)} ${this.unit}`;
  }

  // At the last step that was sampled in each.
  async list(log) {
    const values = await Promise.all(this.names.map((name) => askRun(name, "step", { pictures: this.picture })));
    const by = this.summaries.map((s, i) => new Map(s.sites.map((site) => [site.name, values[i].values[this.picture]?.[site.id]])));
    const both = [...by[0]].filter(([site, v]) => typeof v === "number" && typeof by[1].get(site) === "number");
    this.table.replaceChildren(...both.map(([site, v]) => {
      const other = by[1].get(site), gap = log ? Math.log10(Math.abs(other / v)) : other - v;
      return el("tr", {}, el("th", { scope: "row" }, site), ...[number(v), number(other), signed(gap)].map((text) => el("td", { class: "figure" }, text)));
    }));
  }
}

const signed = (gap) => (Number.isFinite(gap) ? `${gap > 0 ? "+" : ""}${gap.toFixed(2)}`.replace("-", "−") : "–");
