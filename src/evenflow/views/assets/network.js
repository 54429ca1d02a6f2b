// The network as the tape saw it: from the input to the loss, coloured by a reading at a step, with
// forks and their shares; a backward pass that can be played.

import { askRun, words } from "./api.js";
import { el, number, svg } from "./dom.js";
import { graphOf, origins } from "./graph.js";
import { BROKEN, MISSING, TOP, ZERO, css, isDark, table } from "./palette.js";
import { Tree } from "./tree.js";

const WIDE = 138, TALL = 30, GAP_X = 24, GAP_Y = 34, ROWS = 120;

export async function showNetwork(box, run, onSite) {
  const view = new NetworkView(box, run, onSite);
  await view.open();
  return view;
}

class NetworkView {
  constructor(box, run, onSite) {
    const ids = run.summary.sites.filter((s) => s.call === 0).map((s) => s.id);
    Object.assign(this, { box, run, onSite, ids, sites: run.summary.sites, wanted: 0, timer: 0 });
    this.tree = new Tree(this.sites, ids);
    this.tree.shut(ROWS);
  }

  async open() {
    if (!this.ids.length) {
      this.box.replaceChildren(el("p", {}, words.no_network));
      return;
    }
    const last = Math.max(this.run.summary.steps - 1, 0);
    const button = (text, act) => el("button", { type: "button", onclick: act }, text);
    this.slider = el("input", { type: "range", min: 0, max: last, value: last, "aria-label": words.step });
    this.slider.addEventListener("input", () => this.paint());
    this.at = el("span", { class: "figure" });
    this.folders = el("div", { class: "chips" });
    this.scroller = el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.network });
    this.box.replaceChildren(
      el("div", { class: "tools" }, this.slider, this.at, button(words.play, () => this.play()), button(words.open_all, () => this.fold(false)), button(words.close_all, () => this.fold(true))),
      this.folders, this.scroller, el("p", { class: "quiet hint" }, words.network_hint));
    await this.draw();
  }

  end() {
    clearInterval(this.timer);
    this.wanted = Infinity;
  }

  fold(closed) {
    this.tree.closed = new Set(closed ? this.tree.folders() : []);
    this.draw();
  }

  toggle(path) {
    if (!this.tree.closed.delete(path)) this.tree.closed.add(path);
    this.draw();
  }

  // -- boxes and lines -----------------------------------------------------------------------
  async draw() {
    clearInterval(this.timer);
    const rows = this.tree.rows(), { nodes, edges } = graphOf(this.sites, rows, this.ids);
    Object.assign(this, { nodes, edges, levels: [] });
    for (const node of nodes.values()) (this.levels[node.depth] ||= []).push(node);
    this.levels.forEach((level, y) => level.forEach((node, x) => {
      [node.x, node.y] = [(x - (level.length - 1) / 2) * (WIDE + GAP_X), y * (TALL + GAP_Y)];
    }));
    const wide = Math.max(...this.levels.map((level) => level?.length || 1)) * (WIDE + GAP_X);
    const tall = this.levels.length * (TALL + GAP_Y);
    const lines = edges.flatMap((edge) => this.line(edge));
    const boxes = [...nodes.values()].map((node) => this.node(node));
    this.scroller.replaceChildren(svg("svg", { viewBox: `${-wide / 2} -6 ${wide} ${tall}`, width: wide, height: tall, class: "network", role: "group", "aria-label": words.network }, ...lines, ...boxes));
    this.folders.replaceChildren(...rows.filter((row) => row.open === true).slice(0, 40).map((row) => el("button", { type: "button", class: "chip", onclick: () => this.toggle(row.path) }, `▾ ${row.name}`)));
    await this.paint();
  }

  line(edge) {
    const [a, b] = [this.nodes.get(edge.from), this.nodes.get(edge.to)];
    const bend = GAP_Y * 0.7, back = b.depth <= a.depth;
    edge.path = svg("path", { class: back ? "edge back" : "edge", d: `M${a.x} ${a.y + TALL} C${a.x} ${a.y + TALL + bend} ${b.x} ${b.y - bend} ${b.x} ${b.y}` });
    edge.share = svg("text", { class: "share", x: (a.x + 3 * b.x) / 4, y: b.y - 7, "text-anchor": "middle" });
    return [edge.path, edge.share];
  }

  node(node) {
    const { row } = node, folder = row.open === false;
    const label = folder ? `▸ ${row.label} (${node.ids.length})` : row.name;
    const act = () => (folder ? this.toggle(row.path) : this.onSite(row.id));
    node.rect = svg("rect", { x: node.x - WIDE / 2, y: node.y, width: WIDE, height: TALL, rx: folder ? 2 : 6 });
    node.text = svg("text", { x: node.x, y: node.y + TALL / 2 + 4, "text-anchor": "middle" });
    node.text.textContent = label.length > 20 ? `…${label.slice(-19)}` : label;
    node.title = svg("title");
    node.box = svg("g", { class: "node", tabindex: 0, role: "button", "aria-label": row.name, onclick: act, onkeydown: (e) => { if (e.key === "Enter") act(); } }, node.rect, node.text, node.title);
    return node.box;
  }

  // -- a step --------------------------------------------------------------------------------
  async paint() {
    if (!this.nodes) return;
    const mine = ++this.wanted, { picture, scale } = this.run.shown;
    const told = await askRun(this.run.name, "step", { column: this.slider.value, pictures: picture });
    if (mine !== this.wanted) return;
    this.at.textContent = `${words.step} ${told.step.toLocaleString(words.code)} · ${picture}`;
    const values = told.values[picture] || [], least = this.run.shown.heat.least, colours = table(isDark());
    const broken = new Set();
    for (const node of this.nodes.values()) {
      const value = worst(node.ids.map((id) => values[id]), least);
      if (typeof value === "string") broken.add(node.key);
      const code = coded(value, scale);
      node.rect.style.fill = css(colours[code]);
      const [r, g, b] = [colours[code] & 255, (colours[code] >> 8) & 255, (colours[code] >> 16) & 255];
      node.text.style.fill = 0.3 * r + 0.59 * g + 0.11 * b > 128 ? "#000" : "#fff";
      node.title.textContent = `${node.row.name}: ${picture} ${number(value)}`;
    }
    const began = origins(this.nodes, broken, picture.startsWith("delta"));
    for (const node of this.nodes.values()) {
      node.box.classList.toggle("origin", began.has(node.key));
      if (began.has(node.key)) node.title.textContent += ` · ${words.origin}`;
    }
    this.shares(told.shares || []);
  }

  // At a fork each branch has its share of the error that comes back.
  shares(told) {
    const by = new Map(told.map(([site, input, share]) => [`${site} ${input}`, share]));
    for (const edge of this.edges) {
      const known = edge.pairs.map(([site, input]) => by.get(`${site} ${input}`)).filter((v) => typeof v === "number");
      const share = known.length ? known.reduce((sum, v) => sum + v, 0) : null;
      edge.share.textContent = share === null ? "" : `${(100 * share).toFixed(0)} %`.replace("-", "−");
      edge.path.style.strokeWidth = share === null ? "" : `${1 + 4 * Math.min(Math.abs(share), 1)}`;
      edge.path.classList.toggle("against", share !== null && share < 0);
    }
  }

  play() {
    clearInterval(this.timer);
    let level = this.levels.length - 1;
    this.timer = setInterval(() => {
      for (const node of this.nodes.values()) node.box.classList.remove("now");
      for (const node of this.levels[level] || []) node.box.classList.add("now");
      if (level % 6 === 0) this.levels[level]?.[0].box.scrollIntoView?.({ block: "nearest" });
      if (level-- < 0) clearInterval(this.timer);
    }, Math.max(40, Math.min(400, 4000 / this.levels.length)));
  }
}

// Of several values: what is not finite, else the least (or largest) that was measured.
function worst(values, least) {
  const known = values.filter((v) => v !== null && v !== undefined);
  const odd = known.find((v) => typeof v === "string");
  if (odd !== undefined) return odd;
  return known.length ? Math[least ? "min" : "max"](...known) : null;
}

function coded(value, scale) {
  if (value === null || !scale) return MISSING;
  if (typeof value === "string") return BROKEN;
  if (value === 0 && scale.log) return ZERO;
  const at = scale.log ? Math.log10(Math.abs(value)) : value;
  return Math.round(Math.min(Math.max((at - scale.low) / Math.max(scale.high - scale.low, 1e-9), 0), 1) * TOP);
}
