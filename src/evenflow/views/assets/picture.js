// The picture of layers x steps: its tools, names of the rows, legend, and what is under the hand.

import { askGrid, words } from "./api.js";
import { el, number } from "./dom.js";
import { listenToHand } from "./hand.js";
import { Heat } from "./heat.js";
import { TOP, css, decoded, isDark, special } from "./palette.js";
import { keep, say } from "./route.js";
import { saveCsv, saveParquet, savePng, saveSvg } from "./saving.js";
import { Tree } from "./tree.js";

const TALL = 560, ROWS = 140, LOW = 4;

// A strip of the colours, with what its ends and the odd colours stand for.
export function legend(heat, odd = special(isDark())) {
  const bar = el("canvas", { width: 200, height: 10 }), brush = bar.getContext("2d"), grid = heat.grid;
  for (let x = 0; x < 200; x++) {
    brush.fillStyle = css(heat.colours[Math.round((x / 199) * TOP)]);
    brush.fillRect(x, 0, 1, 10);
  }
  const chip = (code, text) => {
    const box = el("i", {});
    box.style.background = `rgb(${odd[code].join(" ")})`;
    return el("span", {}, box, text);
  };
  const end = (v) => number(grid.log ? 10 ** v : v);
  return [el("span", {}, end(grid.low)), bar, el("span", {}, end(grid.high)), chip(253, words.zero), chip(254, words.not_finite), chip(255, words.not_measured)];
}

export class Picture {
  // run: {name, summary, all()}; told: {range(), site(id), picture(name)}, called when they change.
  constructor(run, state, told) {
    Object.assign(this, { run, told, fetching: null, ended: false });
    this.picture = state.get("picture") || "";
    this.from = Number(state.get("from") || 0);
    this.to = Number(state.get("to") || 0);
    this.lay();
    this.heat = new Heat(this.canvas);
    listenToHand(this);
  }

  lay() {
    const button = (text, act) => el("button", { type: "button", onclick: act }, text);
    this.choice = el("select", { "aria-label": words.picture });
    this.choice.addEventListener("change", () => this.choose(this.choice.value));
    this.extreme = el("select", { "aria-label": words.of_joined, title: words.of_joined }, el("option", { value: "least" }, words.least), el("option", { value: "largest" }, words.largest));
    this.extreme.addEventListener("change", () => { this.heat.least = this.extreme.value === "least"; this.heat.draw(); });
    const saves = { PNG: savePng, SVG: saveSvg, CSV: saveCsv, Parquet: saveParquet };
    const saving = el("select", { "aria-label": words.save_as }, el("option", { value: "" }, words.save_as), Object.keys(saves).map((form) => el("option", { value: form }, form)));
    saving.addEventListener("change", () => {
      Promise.resolve(saves[saving.value]?.(this)).catch((error) => say(error.message));
      saving.value = "";
    });
    this.tools = el("div", { class: "tools" }, this.choice, this.extreme,
      button(words.whole, () => this.range(0, this.run.all())),
      button(words.open_all, () => this.fold(false)), button(words.close_all, () => this.fold(true)),
      saving);
    this.hint = el("p", { class: "quiet hint" });
    this.canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": `${words.heatmap}. ${words.keys}` });
    this.labels = el("div", { class: "labels" });
    this.spacer = el("div", { class: "spacer" });
    this.scroll = el("div", { class: "heat" }, el("div", { class: "stick" }, this.labels, this.canvas), this.spacer);
    this.tip = el("div", { class: "tip", hidden: true });
    this.legend = el("div", { class: "legend" });
    this.box = el("div", {}, this.tools, this.hint, el("div", { class: "frame" }, this.scroll, this.tip), this.legend);
  }

  // early: the picture that was asked for before the summary was known.
  async begin(early) {
    const names = this.run.summary.pictures.map((p) => p.name);
    if (!names.includes(this.picture)) this.picture = names[0] || "";
    this.choice.replaceChildren(...this.run.summary.pictures.map((p) => el("option", { value: p.name, title: p.text }, p.name)));
    this.choice.value = this.picture;
    if (!(this.to > this.from)) [this.from, this.to] = [0, this.run.all()];
    if (this.picture) await this.fetch(early?.name === this.picture && this.whole() ? early : null);
  }

  end() {
    this.ended = true;
    this.fetching?.abort();
    this.sized.disconnect();
    clearTimeout(this.later);
  }

  whole() {
    return this.from <= 0 && this.to >= this.run.all();
  }

  async choose(picture) {
    this.picture = picture;
    keep({ picture });
    await this.fetch();
    this.told.picture(picture);
  }

  // The picture over what is to be seen, as fine as there are columns for.
  async fetch(known = null) {
    this.fetching?.abort();
    this.fetching = new AbortController();
    const whole = this.whole(), margin = whole ? 0 : this.to - this.from;
    const asked = whole ? {} : { start: Math.max(0, Math.floor(this.from - margin)), stop: Math.ceil(this.to + margin) };
    if (this.scale?.picture === this.picture) Object.assign(asked, { low: this.scale.low, high: this.scale.high, log: this.scale.log });
    let grid = known;
    try {
      grid ||= await askGrid(this.run.name, { picture: this.picture, ...asked }, this.fetching.signal);
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
    const rows = grid.rows.join();
    if (this.tree?.key !== rows) {
      this.tree = new Tree(this.run.summary.sites, grid.rows);
      this.tree.key = rows;
      this.tree.shut(ROWS);
    }
    this.heat.grid = grid;
    this.hint.textContent = this.run.summary.pictures.find((p) => p.name === this.picture)?.text || "";
    this.redraw();
    this.legend.replaceChildren(...legend(this.heat));
  }

  fold(closed) {
    this.tree.closed = new Set(closed ? this.tree.folders() : []);
    this.redraw();
  }

  redraw() {
    if (!this.tree) return;
    const rows = this.tree.rows();
    this.heat.rows = rows;
    this.heat.height = Math.min(18, Math.max(LOW, Math.floor(TALL / Math.max(rows.length, 1))));
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
      const made = el("button", { type: "button", title: row.name, tabindex: -1, onclick: () => this.enter(row) }, mark + row.label);
      made.style.top = `${shift + i * this.heat.height}px`;
      made.style.lineHeight = `${Math.max(this.heat.height, 11)}px`;
      made.style.paddingLeft = `${4 + Math.min(row.depth, 5) * 9}px`;
      return made;
    }));
  }

  enter(row) {
    if (!row) return;
    if (row.open === null) {
      this.told.site(row.id);
      return;
    }
    if (row.open) this.tree.closed.add(row.path);
    else this.tree.closed.delete(row.path);
    this.redraw();
  }

  // -- which steps ---------------------------------------------------------------------------
  range(from, to) {
    const all = this.run.all(), least = Math.min(4, all);
    const width = Math.min(Math.max(to - from, least), all);
    this.from = Math.min(Math.max(from, 0), all - width);
    this.to = this.from + width;
    keep(width >= all ? { from: "", to: "" } : { from: Math.round(this.from), to: Math.round(this.to) });
    this.heat.from = this.from;
    this.heat.to = this.to;
    this.heat.draw();
    this.told.range();
    clearTimeout(this.later);
    this.later = setTimeout(() => { if (this.lacks()) this.fetch().catch((e) => say(e.message)); }, 120);
  }

  zoom(by, part = 0.5) {
    const at = this.from + (this.to - this.from) * part, width = (this.to - this.from) * by;
    this.range(at - width * part, at + width * (1 - part));
  }

  // Is there a finer picture to be had, or is a part of it missing?
  lacks() {
    const grid = this.heat.grid;
    if (!grid || grid.kept) return false;
    const seen = (this.heat.column(this.to) - this.heat.column(this.from) + 1) * 2 ** grid.level;
    const before = grid.start > 0 && this.from < grid.steps[0], after = grid.stop < grid.total && this.to > grid.steps.at(-1);
    return before || after || (grid.level > 0 && seen * 3 <= 2048 * 2 ** (grid.level - 1));
  }

  // -- what is pointed at --------------------------------------------------------------------
  said(found) {
    const value = decoded(found.code, this.heat.grid);
    const text = { 253: words.zero, 254: words.not_finite, 255: words.not_measured }[found.code] || number(value);
    const id = this.heat.grid.rows[found.position];
    return `${this.run.summary.sites[id].name} · ${words.step} ${(found.step ?? 0).toLocaleString(words.code)} · ${this.picture} ${text}`;
  }

  point(found, event) {
    this.tip.hidden = !found || found.row.open === true;
    if (this.tip.hidden) return;
    this.tip.textContent = this.said(found);
    const box = this.scroll.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 12, box.width - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(x, 0)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  // -- live ----------------------------------------------------------------------------------
  // Columns that came, of the sites' codes; false where the picture must be fetched anew.
  // start: the number of the first; those that a picture fetched since has are passed over.
  append(start, steps, text) {
    const grid = this.heat.grid;
    if (!grid || !text || start > grid.total) return false;
    const codes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), sites = codes.length / steps.length;
    return steps.every((step, i) => start + i < grid.total || this.heat.append(step, codes.subarray(i * sites, (i + 1) * sites)));
  }

  show(from, to) {
    [this.from, this.to, this.heat.from, this.heat.to] = [from, to, from, to];
    this.heat.draw();
  }
}
