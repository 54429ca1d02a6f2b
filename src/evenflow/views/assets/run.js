// One run: what was found, the picture of layers x steps with curves on the same axis, a layer, and
// other ways to look at it; live while it trains.

import { askGrid, askRun, follow, spoken, words } from "./api.js";
import { curve } from "./curves.js";
import { el } from "./dom.js";
import { findings } from "./findings.js";
import { showForecast } from "./forecast.js";
import { kept } from "./kept.js";
import { showNetwork } from "./network.js";
import { Picture } from "./picture.js";
import { keep, say } from "./route.js";
import { badge } from "./runs.js";
import { showSite } from "./site.js";
import { recurrent, showThrough } from "./through.js";

const JUDGE = 6000;

export async function showRun(main, name, state) {
  const run = new RunView(main, name, state);
  window.evenflowTook = () => run.shown?.heat.took;  // for benchmarks/ui.py
  window.evenflowLiveTook = () => run.liveTook;
  await run.open();
  return () => run.end();
}

class RunView {
  constructor(main, name, state) {
    Object.assign(this, { main, name, state, curves: [], tabs: {}, ended: false });
  }

  async open() {
    // the picture is asked for at once: which ones there are is only known with the summary
    const early = this.state.get("from") ? null : askGrid(this.name, { picture: this.state.get("picture") || "delta" }).catch(() => null);
    [this.summary] = await Promise.all([askRun(this.name, "summary"), spoken()]);
    this.points = { loss: [[], []] };
    if (this.ended) return;
    this.lay();
    const known = await early;
    if (this.ended) return;
    await this.shown.begin(known);
    this.points = await askRun(this.name, "curves");  // the picture comes first
    if (this.ended) return;
    if (this.shown.from <= 0 && !this.state.get("from")) this.shown.show(0, this.all());
    this.drawCurves();
    this.judge();
    this.listen();
    const site = this.state.get("site");
    if (site !== null && this.summary.sites[site]) this.openSite(Number(site));
    this.select(this.state.get("view") || "");
    this.foresaw = await askRun(this.name, "beside").catch(() => []);
    this.tabs.forecast.tab.hidden = !this.foresaw.length;
    if (this.state.get("view") === "forecast") this.select("forecast");
  }

  forecast(box) {
    if (this.foresaw?.length) showForecast(box, this.foresaw, this.summary.sites, (id) => this.openSite(id));
    return this.foresaw?.length ? { end() {}, paint() {} } : null;
  }

  end() {
    this.ended = true;
    this.stream?.close();
    this.shown?.end();
    clearTimeout(this.judging);
    this.curves.forEach((c) => c.end());
    Object.values(this.tabs).forEach((tab) => tab.made?.end());
  }

  // One past the last step that is known.
  all() {
    return Math.max(this.points.loss[0].at(-1) ?? 0, this.summary.last ?? 0, 0) + 1;
  }

  // -- the page ------------------------------------------------------------------------------
  lay() {
    this.shown = new Picture(this, this.state, { range: () => this.drawCurves(true), site: (id) => this.openSite(id), picture: () => this.chosen() });
    this.plots = el("div", { class: "plots" });
    this.panel = el("section", { class: "card panel", hidden: true, "aria-label": words.site });
    const ways = { "": { text: words.heatmap, box: el("div", {}, this.shown.box, this.plots) }, network: { text: words.network, show: showNetwork } };
    if (recurrent(this.summary.sites).length) ways.time = { text: words.through_time, show: showThrough };
    ways.forecast = { text: words.forecast, show: (box) => this.forecast(box) };
    for (const [key, way] of Object.entries(ways)) {
      way.box ||= el("div", { hidden: true });
      way.tab = el("button", { type: "button", role: "tab", "aria-selected": "false", onclick: () => this.select(key) }, way.text);
    }
    this.tabs = ways;
    ways.forecast.tab.hidden = true;  // until one is found that fits
    const views = el("div", { class: "views", role: "tablist" }, Object.values(ways).map((way) => way.tab));
    const card = el(kept.on ? "div" : "section", kept.on ? {} : { class: "card", "aria-label": words.heatmap }, views, Object.values(ways).map((way) => way.box));
    if (kept.on) {  // verdict and findings stand in the report's own text
      this.main.replaceChildren(card, this.panel);
      return;
    }
    this.verdict = el("span");
    this.said = el("p", { class: "said" }, words.reading);
    this.list = el("div");
    this.main.replaceChildren(
      el("section", { class: "head" }, el("h1", {}, this.name), this.verdict, this.said),
      el("div", { class: "two" }, card,
        el("div", {}, this.panel, el("section", { class: "card", "aria-label": words.findings }, el("h2", {}, words.findings), this.list))));
  }

  async select(key) {
    const wanted = this.tabs[key] ? key : "", way = this.tabs[wanted];
    keep({ view: wanted });
    for (const [name, each] of Object.entries(this.tabs)) {
      each.tab.setAttribute("aria-selected", String(name === wanted));
      each.box.hidden = name !== wanted;
    }
    if (way.show && !way.made) {
      way.made = { end() {}, paint() {} };
      way.made = await way.show(way.box, this, (id) => this.openSite(id));
    } else if (!way.show) this.shown.redraw();
  }

  // -- curves --------------------------------------------------------------------------------
  drawCurves(rangeOnly = false) {
    if (!rangeOnly) {
      this.curves.forEach((c) => c.end());
      this.plots.replaceChildren();
      this.curves = Object.entries(this.points).filter(([, p]) => p[0].length > 1).map(([key, points]) => {
        const box = el("div", { class: "plot" }, el("h2", {}, words[key] || key));
        this.plots.append(box);
        const made = curve(box, key, points, this.marks || [], (a, b) => this.shown.range(a, b));
        made.key = key;
        return made;
      });
    }
    this.curves.forEach((c) => c.range(this.shown.from, this.shown.to));
  }

  // -- findings, live ------------------------------------------------------------------------
  async judge() {
    try {
      const told = await askRun(this.name, "findings");
      if (this.ended || this.gone) return;
      if (this.list) this.tell(told);
      const marks = told.findings.map((f) => ({ step: f.first_step, kind: f.severity, label: f.code }));
      if (JSON.stringify(marks) !== JSON.stringify(this.marks || [])) {
        this.marks = marks;
        this.drawCurves();
      }
    } catch (error) {
      if (this.said && !this.gone) this.said.textContent = error.message;
    }
  }

  tell(told) {
    this.verdict.replaceChildren(badge(told.verdict));
    this.said.textContent = told.said;
    const spot = this.list.querySelector("details[open]") && [...this.list.querySelectorAll("details")].map((d) => d.open);
    this.list.replaceChildren(findings(told, this.summary.source, (id) => this.openSite(id)));
    if (spot) [...this.list.querySelectorAll("details")].forEach((d, i) => { d.open = spot[i] ?? d.open; });
  }

  // Another picture is shown: its columns are what the stream must tell of.
  chosen() {
    this.stream?.close();
    this.listen();
    this.tabs.network?.made?.paint();
  }

  listen() {
    const scale = this.shown.scale || {};
    this.cursor ||= `${this.summary.turn}.${this.summary.steps}.${this.summary.points}`;
    this.stream = follow(this.name, { picture: this.shown.picture, low: scale.low, high: scale.high, log: scale.log, after: this.cursor });
    if (!this.stream) return;
    this.stream.addEventListener("news", (event) => { this.cursor = event.lastEventId; this.news(JSON.parse(event.data)); });
    this.stream.addEventListener("again", () => { this.end(); showRun(this.main, this.name, this.state); });
    this.stream.addEventListener("gone", (event) => { this.stream.close(); this.gone = true; say(`${words.gone} ${JSON.parse(event.data).why}`); this.said.textContent = words.gone; });
  }

  async news(told) {
    const began = performance.now(), whole = this.shown.whole();
    const first = !this.shown.picture && told.steps.length > 0;  // opened before anything was read
    if (first || told.sites !== this.summary.sites.length) this.summary = { ...this.summary, ...(await askRun(this.name, "summary")) };
    const fits = this.shown.append(told.start, told.steps, told.codes);
    this.summary.steps = told.start + told.steps.length;
    this.summary.last = told.steps.at(-1) ?? this.summary.last;
    const join = (key, x, y) => {
      if (!this.points[key]) this.points[key] = [[], []];
      const [xs, ys] = this.points[key], last = xs.at(-1) ?? -1;
      x.forEach((step, i) => { if (step > last) { xs.push(step); ys.push(y[i]); } });
    };
    join("loss", ...told.loss);
    for (const key of ["lr", "grad_norm"]) if (told[key]) join(key, told.steps, told[key]);
    if (whole) this.shown.show(0, this.all());
    else if (fits) this.shown.show(this.shown.from, this.shown.to);
    this.curves.forEach((c) => c.data(this.points[c.key]));
    this.drawCurves(this.curves.length > 0);
    this.liveTook = performance.now() - began;
    if (!fits && told.steps.length && this.shown.picture) await this.shown.fetch();
    if (first) {
      await this.shown.begin(null);
      this.chosen();
    }
    if (!this.judging) this.judging = setTimeout(() => { this.judging = 0; this.judge(); }, told.ended ? 0 : JUDGE);
  }

  async openSite(id) {
    keep({ site: id });
    this.panel.hidden = false;
    await showSite(this.panel, this.name, this.summary, id, () => { this.panel.hidden = true; keep({ site: "" }); });
  }
}
