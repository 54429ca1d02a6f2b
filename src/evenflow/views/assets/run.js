// One run: what was found, the picture of layers x steps, curves on the same axis, a layer, the
// network; live while it trains.

import { ask, askGrid, follow, runPath, words } from "./api.js";
import { curve } from "./curves.js";
import { el, number, save } from "./dom.js";
import { findings } from "./findings.js";
import { Heat } from "./heat.js";
import { showNetwork } from "./network.js";
import { TOP, css, decoded, isDark, special } from "./palette.js";
import { keep, say } from "./route.js";
import { badge } from "./runs.js";
import { showSite } from "./site.js";
import { Tree } from "./tree.js";

const TALL = 560, ROWS = 90, JUDGE = 6000;

export async function showRun(main, name, state) {
  const run = new RunView(main, name, state);
  window.evenflowTook = () => run.heat?.took;  // for benchmarks/ui.py
  window.evenflowLiveTook = () => run.liveTook;
  await run.open();
  return () => run.end();
}

class RunView {
  constructor(main, name, state) {
    Object.assign(this, { main, name, state, curves: [], ended: false, fetching: null });
    this.picture = state.get("picture") || "";
    this.from = Number(state.get("from") || 0);
    this.to = Number(state.get("to") || 0);
  }

  async open() {
    const path = (what) => runPath(this.name, what);
    // the picture is asked for at once: which ones there are is only known with the summary
    const early = this.to > this.from ? null : askGrid(this.name, { picture: this.picture || "delta" }).catch(() => null);
    [this.summary, this.points, this.early] = await Promise.all([ask(path("summary")), ask(path("curves")), early]);
    if (this.ended) return;
    const names = this.summary.pictures.map((p) => p.name);
    if (!names.includes(this.picture)) this.picture = names[0] || "";
    if (!(this.to > this.from)) [this.from, this.to] = [0, this.all()];
    this.lay();
    if (this.picture) await this.fetch();
    this.drawCurves();
    this.judge();
    this.listen();
    const site = this.state.get("site");
    if (site !== null && this.summary.sites[site]) this.openSite(Number(site));
    if (this.state.get("view") === "network") this.toNetwork();
  }

  end() {
    this.ended = true;
    this.stream?.close();
    this.fetching?.abort();
    clearTimeout(this.judging);
    this.curves.forEach((c) => c.end());
    this.network?.end();
  }

  // One past the last step that is known.
  all() {
    return Math.max(this.points.loss[0].at(-1) ?? 0, this.summary.last ?? 0, 0) + 1;
  }

  // -- the page ------------------------------------------------------------------------------
  lay() {
    this.verdict = el("span");
    this.said = el("p", { class: "said" }, words.reading);
    this.list = el("div");
    this.choice = el("select", { "aria-label": words.picture }, this.summary.pictures.map((p) => el("option", { value: p.name, title: p.text }, p.name)));
    this.choice.value = this.picture;
    this.choice.addEventListener("change", () => this.choose(this.choice.value));
    this.extreme = el("select", { "aria-label": words.of_joined, title: words.of_joined }, el("option", { value: "least" }, words.least), el("option", { value: "largest" }, words.largest));
    this.extreme.addEventListener("change", () => { this.heat.least = this.extreme.value === "least"; this.heat.draw(); });
    this.legend = el("div", { class: "legend" });
    this.hint = el("p", { class: "quiet hint" });
    this.canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": `${words.heatmap}. ${words.keys}` });
    this.labels = el("div", { class: "labels" });
    this.spacer = el("div", { class: "spacer" });
    this.scroll = el("div", { class: "heat" }, el("div", { class: "stick" }, this.labels, this.canvas), this.spacer);
    this.tip = el("div", { class: "tip", hidden: true });
    this.plots = el("div", { class: "plots" });
    this.panel = el("section", { class: "card panel", hidden: true, "aria-label": words.site });
    this.views = el("div", { class: "views", role: "tablist" },
      el("button", { type: "button", role: "tab", "aria-selected": "true", onclick: () => this.toHeat() }, words.heatmap),
      el("button", { type: "button", role: "tab", "aria-selected": "false", onclick: () => this.toNetwork() }, words.network));
    const button = (text, act) => el("button", { type: "button", onclick: act }, text);
    this.tools = el("div", { class: "tools" }, this.choice, this.extreme, button(words.whole, () => this.range(0, this.all())), button(words.open_all, () => this.fold(false)), button(words.close_all, () => this.fold(true)), button(words.save_png, () => this.savePng()), button(words.save_csv, () => this.saveCsv()));
    this.drawing = el("div", {}, this.tools, this.hint, el("div", { class: "frame" }, this.scroll, this.tip), this.legend, this.plots);
    this.graph = el("div", { hidden: true });
    this.main.replaceChildren(
      el("section", { class: "head" }, el("h1", {}, this.name), this.verdict, this.said),
      el("div", { class: "two" },
        el("section", { class: "card", "aria-label": words.heatmap }, this.views, this.drawing, this.graph),
        el("div", {}, this.panel, el("section", { class: "card", "aria-label": words.findings }, el("h2", {}, words.findings), this.list))));
    this.heat = new Heat(this.canvas);
    this.listenToHand();
  }

  // -- the picture ---------------------------------------------------------------------------
  async choose(picture) {
    this.picture = picture;
    keep({ picture });
    await this.fetch();
    this.network?.paint(picture);
  }

  // The picture over what is to be seen, as fine as there are columns for.
  async fetch() {
    this.fetching?.abort();
    this.fetching = new AbortController();
    const whole = this.from <= 0 && this.to >= this.all();
    const margin = whole ? 0 : this.to - this.from;
    const asked = whole ? {} : { start: Math.max(0, Math.floor(this.from - margin)), stop: Math.ceil(this.to + margin) };
    if (this.scale) Object.assign(asked, this.scale.picture === this.picture ? { low: this.scale.low, high: this.scale.high, log: this.scale.log } : {});
    let grid = this.early?.name === this.picture && whole ? this.early : null;
    this.early = null;
    try {
      grid = grid || await askGrid(this.name, { picture: this.picture, ...asked }, this.fetching.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    if (this.ended) return;
    if (this.scale?.picture !== this.picture) {
      this.scale = { picture: this.picture, low: grid.low, high: grid.high, log: grid.log };
      this.heat.least = grid.worst;
      this.extreme.value = grid.worst ? "least" : "largest";
    }
    const known = this.tree?.key === grid.rows.join();
    if (!known) {
      this.tree = new Tree(this.summary.sites, grid.rows);
      this.tree.key = grid.rows.join();
      this.shut();
    }
    this.heat.grid = grid;
    this.hint.textContent = this.summary.pictures.find((p) => p.name === this.picture)?.text || "";
    this.redraw();
    this.drawLegend();
  }

  // Of a large network the folders are closed that leave the fewest rows.
  shut() {
    const folders = this.tree.folders().sort((a, b) => b.split(".").length - a.split(".").length);
    for (const path of folders) {
      if (this.tree.rows().length <= ROWS) return;
      this.tree.closed.add(path);
    }
  }

  fold(closed) {
    this.tree.closed = new Set(closed ? this.tree.folders() : []);
    this.redraw();
  }

  redraw() {
    const rows = this.tree.rows();
    this.heat.rows = rows;
    this.heat.height = Math.min(18, Math.max(7, Math.floor(TALL / Math.max(rows.length, 1))));
    this.heat.from = this.from;
    this.heat.to = this.to;
    const all = rows.length * this.heat.height, box = Math.min(all, TALL);
    this.scroll.style.height = `${box + 2}px`;
    this.canvas.style.height = this.labels.style.height = `${box}px`;
    this.spacer.style.height = `${Math.max(all - box, 0)}px`;
    this.heat.top = this.scroll.scrollTop;
    this.heat.draw();
    this.drawLabels();
  }

  drawLabels() {
    const { rows, shift } = this.heat.visible();
    const every = Math.ceil(11 / this.heat.height);
    this.labels.replaceChildren(...rows.map((row, i) => {
      if (row.open === null && i % every) return "";
      const mark = row.open === null ? "" : row.open ? "▾ " : "▸ ";
      const act = () => (row.open === null ? this.openSite(row.id) : this.toggle(row));
      const made = el("button", { type: "button", title: row.name, tabindex: -1, onclick: act }, mark + row.label);
      made.style.top = `${shift + i * this.heat.height}px`;
      made.style.lineHeight = `${Math.max(this.heat.height, 11)}px`;
      made.style.paddingLeft = `${4 + Math.min(row.depth, 5) * 9}px`;
      return made;
    }));
  }

  toggle(row) {
    if (row.open) this.tree.closed.add(row.path);
    else this.tree.closed.delete(row.path);
    this.redraw();
  }

  drawLegend() {
    const grid = this.heat.grid, odd = special(isDark());
    const bar = el("canvas", { width: 200, height: 10 });
    const brush = bar.getContext("2d");
    for (let x = 0; x < 200; x++) {
      brush.fillStyle = css(this.heat.colours[Math.round((x / 199) * TOP)]);
      brush.fillRect(x, 0, 1, 10);
    }
    const chip = (code, text) => {
      const box = el("i", {});
      box.style.background = `rgb(${odd[code].join(" ")})`;
      return el("span", {}, box, text);
    };
    const end = (v) => number(grid.log ? 10 ** v : v);
    this.legend.replaceChildren(el("span", {}, end(grid.low)), bar, el("span", {}, end(grid.high)), chip(253, words.zero), chip(254, words.not_finite), chip(255, words.not_measured));
  }

  // -- which steps ---------------------------------------------------------------------------
  range(from, to) {
    const all = this.all(), least = Math.min(4, all);
    const width = Math.min(Math.max(to - from, least), all);
    this.from = Math.min(Math.max(from, 0), all - width);
    this.to = this.from + width;
    keep(width >= all ? { from: "", to: "" } : { from: Math.round(this.from), to: Math.round(this.to) });
    this.heat.from = this.from;
    this.heat.to = this.to;
    this.heat.draw();
    this.drawCurves(true);
    clearTimeout(this.later);
    this.later = setTimeout(() => { if (this.lacks()) this.fetch().catch((e) => say(e.message)); }, 120);
  }

  // Is there a finer picture to be had, or is a part of it missing?
  lacks() {
    const grid = this.heat.grid;
    if (!grid) return false;
    const seen = (this.heat.column(this.to) - this.heat.column(this.from) + 1) * 2 ** grid.level;
    const before = grid.start > 0 && this.from < grid.steps[0], after = grid.stop < grid.total && this.to > grid.steps.at(-1);
    return before || after || (grid.level > 0 && seen * 3 <= 2048 * 2 ** (grid.level - 1));
  }

  listenToHand() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return this.heat.at(event.clientX - box.left, event.clientY - box.top);
    };
    let drag = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, from: this.from, to: this.to, moved: false };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (drag && Math.abs(event.clientX - drag.x) > 3) {
        drag.moved = true;
        const by = ((drag.x - event.clientX) / this.canvas.clientWidth) * (drag.to - drag.from);
        this.range(drag.from + by, drag.to + by);
      }
      this.point(at(event), event);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      const found = at(event);
      if (drag && !drag.moved && found) this.enter(found.row);
      drag = null;
    });
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.altKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;  // the page scrolls
      event.preventDefault();
      const box = this.canvas.getBoundingClientRect();
      if (event.ctrlKey || event.altKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
      else this.range(this.from + (event.deltaX / box.width) * (this.to - this.from), this.to + (event.deltaX / box.width) * (this.to - this.from));
    }, { passive: false });
    this.canvas.addEventListener("dblclick", () => this.range(0, this.all()));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.scroll.addEventListener("scroll", () => {
      this.heat.top = this.scroll.scrollTop;
      this.heat.draw();
      this.drawLabels();
    });
    this.sized = new ResizeObserver(() => this.heat.draw());
    this.sized.observe(this.canvas);
  }

  zoom(by, part = 0.5) {
    const at = this.from + (this.to - this.from) * part, width = (this.to - this.from) * by;
    this.range(at - width * part, at + width * (1 - part));
  }

  key(event) {
    const width = this.to - this.from, rows = this.heat.rows.length;
    this.spot = this.spot || { row: 0, column: Math.floor((this.from + this.to) / 2) };
    const acts = {
      ArrowLeft: () => this.along(-1, event.shiftKey),
      ArrowRight: () => this.along(1, event.shiftKey),
      ArrowUp: () => { this.spot.row -= 1; },
      ArrowDown: () => { this.spot.row += 1; },
      "+": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6),
      0: () => this.range(0, this.all()),
      Enter: () => this.enter(this.heat.rows[this.spot.row]),
    };
    const act = acts[event.key] || acts[event.key === "=" ? "+" : ""];
    if (!act) return;
    event.preventDefault();
    act();
    this.spot.row = Math.min(Math.max(this.spot.row, 0), rows - 1);
    this.spot.column = Math.min(Math.max(this.spot.column, 0), this.all() - 1);
    if (this.spot.column < this.from || this.spot.column >= this.to) this.range(this.spot.column - width / 2, this.spot.column + width / 2);
    const y = this.spot.row * this.heat.height;
    if (y < this.scroll.scrollTop || y > this.scroll.scrollTop + this.canvas.clientHeight - this.heat.height) this.scroll.scrollTop = y - this.canvas.clientHeight / 2;
    const x = ((this.spot.column + 0.5 - this.from) / (this.to - this.from)) * this.canvas.clientWidth;
    const found = this.heat.at(x, y + 1 - this.scroll.scrollTop);
    const box = this.canvas.getBoundingClientRect();
    this.point(found, { clientX: box.left + x, clientY: box.top + y - this.scroll.scrollTop });
    if (found) say(this.told(found));
  }

  // To the next sample, or a tenth of what is to be seen.
  along(by, far) {
    const { steps } = this.heat.grid;
    if (far) this.spot.column += by * Math.ceil((this.to - this.from) / 10);
    else this.spot.column = steps[Math.min(Math.max(this.heat.column(this.spot.column) + by, 0), steps.length - 1)];
  }

  enter(row) {
    if (!row) return;
    if (row.open === null) this.openSite(row.id);
    else this.toggle(row);
  }

  told(found) {
    const value = decoded(found.code, this.heat.grid);
    const text = { 253: words.zero, 254: words.not_finite, 255: words.not_measured }[found.code] || number(value);
    const id = this.heat.grid.rows[found.position];
    return `${this.summary.sites[id].name} · ${words.step} ${(found.step ?? 0).toLocaleString(words.code)} · ${this.picture} ${text}`;
  }

  point(found, event) {
    this.tip.hidden = !found || found.row.open === true;
    if (this.tip.hidden) return;
    this.tip.textContent = this.told(found);
    const box = this.scroll.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 12, box.width - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(x, 0)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  // -- curves --------------------------------------------------------------------------------
  drawCurves(rangeOnly = false) {
    if (!rangeOnly) {
      this.curves.forEach((c) => c.end());
      this.plots.replaceChildren();
      this.curves = Object.entries(this.points).filter(([, p]) => p[0].length > 1).map(([key, points]) => {
        const box = el("div", { class: "plot" }, el("h3", {}, words[key] || key));
        this.plots.append(box);
        const made = curve(box, key, points, this.marks || [], (a, b) => this.range(a, b));
        made.key = key;
        return made;
      });
    }
    this.curves.forEach((c) => c.range(this.from, this.to));
  }

  // -- findings, live ------------------------------------------------------------------------
  async judge() {
    try {
      const told = await ask(runPath(this.name, "findings"));
      if (this.ended) return;
      this.verdict.replaceChildren(badge(told.verdict));
      this.said.textContent = told.said;
      const spot = this.list.querySelector("details[open]") && [...this.list.querySelectorAll("details")].map((d) => d.open);
      this.list.replaceChildren(findings(told, this.summary.source, (id) => this.openSite(id)));
      if (spot) [...this.list.querySelectorAll("details")].forEach((d, i) => { d.open = spot[i] ?? d.open; });
      const marks = told.findings.map((f) => ({ step: f.first_step, kind: f.severity, label: f.code }));
      if (JSON.stringify(marks) !== JSON.stringify(this.marks || [])) {
        this.marks = marks;
        this.drawCurves();
      }
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  listen() {
    const scale = this.scale || {};
    this.stream = follow(this.name, { picture: this.picture, low: scale.low, high: scale.high, log: scale.log, after: `${this.summary.turn}.${this.summary.steps}.${this.summary.points}` });
    this.stream.addEventListener("news", (event) => this.news(JSON.parse(event.data)));
    this.stream.addEventListener("again", () => { this.end(); showRun(this.main, this.name, this.state); });
    this.stream.addEventListener("gone", (event) => { this.stream.close(); say(`${words.gone} ${JSON.parse(event.data).why}`); this.said.textContent = words.gone; });
  }

  async news(told) {
    const began = performance.now(), whole = this.from <= 0 && this.to >= this.all();
    if (told.sites !== this.summary.sites.length) this.summary = { ...this.summary, ...(await ask(runPath(this.name, "summary"))) };
    let fits = Boolean(this.heat.grid && told.codes);
    if (fits) {
      const codes = Uint8Array.from(atob(told.codes), (c) => c.charCodeAt(0));
      const sites = codes.length / told.steps.length;
      told.steps.forEach((step, i) => { fits = fits && this.heat.append(step, codes.subarray(i * sites, (i + 1) * sites)); });
    }
    this.summary.steps = told.start + told.steps.length;
    this.summary.last = told.steps.at(-1) ?? this.summary.last;
    const join = (key, x, y) => {
      if (!this.points[key]) this.points[key] = [[], []];
      this.points[key][0].push(...x);
      this.points[key][1].push(...y);
    };
    join("loss", ...told.loss);
    if (whole) [this.from, this.to] = [0, this.all()];
    for (const key of ["lr", "grad_norm"]) if (told[key]) join(key, told.steps, told[key]);
    this.heat.from = this.from;
    this.heat.to = this.to;
    if (fits) this.heat.draw();
    this.curves.forEach((c) => c.data(this.points[c.key]));
    this.drawCurves(this.curves.length > 0);
    this.liveTook = performance.now() - began;
    if (!fits && told.steps.length && this.picture) await this.fetch();
    if (!this.judging) this.judging = setTimeout(() => { this.judging = 0; this.judge(); }, told.ended ? 0 : JUDGE);
  }

  // -- a layer, the network, files -----------------------------------------------------------
  async openSite(id) {
    keep({ site: id });
    this.panel.hidden = false;
    await showSite(this.panel, this.name, this.summary, id, () => { this.panel.hidden = true; keep({ site: "" }); });
  }

  async toNetwork() {
    keep({ view: "network" });
    this.select(1);
    if (!this.network) this.network = await showNetwork(this.graph, this.name, this.summary, this.picture, (id) => this.openSite(id));
  }

  toHeat() {
    keep({ view: "" });
    this.select(0);
    this.redraw();
  }

  select(which) {
    [...this.views.children].forEach((tab, i) => tab.setAttribute("aria-selected", String(i === which)));
    this.drawing.hidden = which === 1;
    this.graph.hidden = which === 0;
  }

  savePng() {
    this.canvas.toBlob((blob) => save(`${this.name.replaceAll("/", "-")}-${this.picture}.png`, blob));
  }

  saveCsv() {
    const grid = this.heat.grid, cells = this.heat.least ? grid.least : grid.largest;
    const head = ["layer", ...grid.steps].join(",");
    const rows = grid.rows.map((id, r) => {
      const values = grid.steps.map((_, c) => decoded(cells[r * grid.columns + c], grid));
      return [`"${this.summary.sites[id].name.replaceAll('"', '""')}"`, ...values.map((v) => (v === null ? "" : v === Infinity ? "inf" : v.toPrecision(4)))].join(",");
    });
    save(`${this.name.replaceAll("/", "-")}-${this.picture}.csv`, new Blob([[head, ...rows].join("\n")], { type: "text/csv" }));
  }
}
