// A small network to be stepped by hand: forward, the error, back, the update; weights and inputs
// can be moved.

import { spoken, words } from "./api.js";
import { activation, pass, updated } from "./backprop.js";
import { el, number, svg } from "./dom.js";
import { kept } from "./kept.js";
import { keep, say } from "./route.js";

const WIDE = 190, TALL = 84, R = 21;

export async function nets() {
  if (kept.on) return kept.nets;
  return (await fetch("assets/nets.json")).json();
}

export async function showStepping(main, state) {
  const known = await nets();
  await spoken();
  const view = new Stepping(main, known, state);
  view.open();
  return () => removeEventListener("keydown", view.pressed);
}

class Stepping {
  constructor(main, known, state) {
    const name = known[state.get("net")] ? state.get("net") : Object.keys(known)[0];
    Object.assign(this, { main, known, name, stage: 0, sample: 0, picked: null, past: [] });
    this.pressed = (event) => this.key(event);
    window.evenflowStep = () => this.told();  // for the tests
  }

  open() {
    this.choice = el("select", { "aria-label": words.network }, Object.keys(this.known).map((n) => el("option", { value: n }, n)));
    this.choice.value = this.name;
    this.choice.addEventListener("change", () => this.load(this.choice.value));
    const button = (text, act) => el("button", { type: "button", onclick: act }, text);
    this.samples = el("select", { "aria-label": words.sample });
    this.samples.addEventListener("change", () => { this.sample = Number(this.samples.value); this.restart(); });
    this.drawing = el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.network });
    this.said = el("div", { class: "formulas", "aria-live": "polite" });
    this.slide = el("div", { class: "tools" });
    this.numbers = el("p", { class: "figure" });
    const title = kept.on ? "" : el("h1", {}, words.by_hand);
    this.main.replaceChildren(title,
      el("section", { class: kept.on ? "" : "card" },
        el("div", { class: "tools" }, this.choice, this.samples,
          button(words.step_back, () => this.move(-1)), button(words.step_on, () => this.move(1)), button(words.start_again, () => this.load(this.name))),
        el("p", { class: "quiet hint" }, words.by_hand_hint),
        this.numbers, this.drawing, this.slide, this.said));
    addEventListener("keydown", this.pressed);
    this.load(this.name);
  }

  load(name) {
    this.name = name;
    keep({ net: name });
    this.net = structuredClone(this.known[name]);
    Object.assign(this, { layers: this.net.layer, last: null, updates: 0, sample: 0, picked: null, past: [] });
    const foreign = this.layers.find((n) => !activation(n.f));
    if (foreign) {
      this.said.replaceChildren(el("p", { class: "refusal" }, `${words.not_played}: ${foreign.f}`));
      return;
    }
    this.samples.replaceChildren(...this.net.x.map((x, i) => el("option", { value: i }, `${words.sample} ${i + 1}: (${x.join(", ")}) → (${this.net.t[i].join(", ")})`)));
    this.restart();
  }

  restart() {
    this.stage = 0;
    this.samples.value = this.sample;
    this.draw();
  }

  // Stages: x, then each layer forward, E, each layer back, the update.
  stages() {
    return 2 * this.layers.length + 3;
  }

  move(by) {
    const last = this.stages() - 1;
    if (by > 0 && this.stage === last) this.learn();
    else if (by < 0 && this.stage === 0 && this.past.length) Object.assign(this, this.past.pop());
    else this.stage = Math.min(Math.max(this.stage + by, 0), last);
    this.draw();
  }

  learn() {
    const { layers, last, sample, updates } = this;
    this.past.push({ layers, last, sample, updates, stage: this.stages() - 1 });
    const found = this.now();
    [this.layers, this.last] = updated(layers, found.gradients, last, this.net.eta, this.net.alpha);
    this.sample = (sample + 1) % this.net.x.length;
    this.samples.value = this.sample;
    this.updates += 1;
    this.stage = 0;
  }

  now() {
    return pass(this.layers, this.net.x[this.sample], this.net.t[this.sample], this.net.loss);
  }

  told() {
    const found = this.now();
    return { ...found, layers: this.layers, updates: this.updates, stage: this.stage };
  }

  key(event) {
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const act = { ArrowRight: () => this.move(1), ArrowLeft: () => this.move(-1) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // -- the drawing ---------------------------------------------------------------------------
  draw() {
    const found = this.now(), L = this.layers.length, forward = Math.min(this.stage, L), back = Math.max(0, this.stage - L - 1);
    const sizes = [this.net.x[this.sample].length, ...this.layers.map((n) => n.W.length)], most = Math.max(...sizes);
    const at = (k, i) => ({ x: 60 + k * WIDE, y: 40 + (i + (most - sizes[k]) / 2) * TALL });
    const parts = [];
    this.layers.forEach((layer, k) => layer.W.forEach((row, i) => row.forEach((w, j) => parts.push(...this.edge(found, k, i, j, w, at(k, j), at(k + 1, i), back > L - 1 - k)))));
    sizes.forEach((size, k) => { for (let i = 0; i < size; i++) parts.push(this.unit(found, k, i, at(k, i), k <= forward, k > 0 && back > L - k)); });
    const width = 120 + L * WIDE, height = 40 + most * TALL;
    this.drawing.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "hand", role: "group", "aria-label": words.by_hand }, ...parts));
    const error = this.stage > L ? ` · E = ${number(found.error)}` : "";
    this.numbers.textContent = `${words.update} ${this.updates + 1}${error} · η = ${this.net.eta} · α = ${this.net.alpha}`;
    this.said.replaceChildren(...this.formulas(found).map((text) => el("code", {}, text)));
    this.slider();
    say(this.said.textContent.slice(0, 200));
  }

  edge(found, k, i, j, w, a, b, known) {
    const pick = () => { this.picked = { k, i, j }; this.draw(); };
    const on = this.picked && this.picked.k === k && this.picked.i === i && this.picked.j === j;
    const line = svg("line", { x1: a.x + R, y1: a.y, x2: b.x - R, y2: b.y, class: `wire${on ? " on" : ""}${w < 0 ? " minus" : ""}` });
    line.style.strokeWidth = `${1 + Math.min(Math.abs(w), 3) * 1.6}`;
    const part = 0.3 + 0.14 * (j % 3), text = svg("text", { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part - 5, "text-anchor": "middle" });
    text.textContent = known ? `${number(w)} | ${number(found.gradients[k].W[i][j])}` : number(w);
    return [svg("g", { class: "weight", tabindex: 0, role: "button", "aria-label": `W${k + 1}[${i + 1},${j + 1}] ${number(w)}`, onclick: pick, onkeydown: (e) => { if (e.key === "Enter") pick(); } }, line, text)];
  }

  unit(found, k, i, p, known, blamed) {
    const circle = svg("circle", { cx: p.x, cy: p.y, r: R, class: blamed ? "unit blamed" : known ? "unit known" : "unit" });
    const text = svg("text", { x: p.x, y: p.y + 4, "text-anchor": "middle", class: "value" });
    text.textContent = known ? number(found.a[k][i]) : "";
    const below = svg("text", { x: p.x, y: p.y + R + 13, "text-anchor": "middle", class: "delta" });
    below.textContent = blamed ? `δ ${number(found.delta[k - 1][i])}` : "";
    const pick = () => { this.picked = { input: k === 0 ? i : null, k: k - 1, bias: k > 0 ? i : null }; this.draw(); };
    const name = k === 0 ? `x[${i + 1}]` : `b${k}[${i + 1}]`;
    return svg("g", { class: "weight", tabindex: 0, role: "button", "aria-label": name, onclick: pick, onkeydown: (e) => { if (e.key === "Enter") pick(); } }, circle, text, below);
  }

  // What the stage does, with its numbers.
  formulas(found) {
    const L = this.layers.length, s = this.stage, x = this.net.x[this.sample], vector = (v) => `(${v.map(number).join(", ")})`;
    if (s === 0) return [`x = ${vector(x)}   t = ${vector(this.net.t[this.sample])}`];
    if (s <= L) {
      const { W, b, f } = this.layers[s - 1], read = found.a[s - 1];
      return W.flatMap((row, i) => [
        `z${s}[${i + 1}] = ${row.map((w, j) => `${number(w)} · ${number(read[j])}`).join(" + ")} + ${number(b[i])} = ${number(found.z[s - 1][i])}`,
        `a${s}[${i + 1}] = ${f}(${number(found.z[s - 1][i])}) = ${number(found.a[s][i])}`]);
    }
    if (s === L + 1) return [`E = ${number(found.error)}   ∂E/∂y = ${vector(found.slope)}`];
    if (s === 2 * L + 2) return [words.update_hint, ...this.layers.map((_, k) => `∂E/∂b${k + 1} = ${vector(found.gradients[k].b)}`)];
    const k = 2 * L + 1 - s, name = this.error(k), slope = activation(this.layers[k].f)[1];
    return found.delta[k].flatMap((d, i) => {
      const above = k === L - 1 ? number(found.slope[i]) : `(${this.layers[k + 1].W.map((row, n) => `${number(row[i])} · ${number(found.delta[k + 1][n])}`).join(" + ")})`;
      return [`${name}[${i + 1}] = ${above} · f'(${number(found.z[k][i])}) = ${above} · ${number(slope(found.z[k][i]))} = ${number(d)}`,
        ...found.a[k].map((read, j) => `∂E/∂W${k + 1}[${i + 1},${j + 1}] = ${name}[${i + 1}] · a${k}[${j + 1}] = ${number(d)} · ${number(read)} = ${number(found.gradients[k].W[i][j])}`)];
    });
  }

  error(k) {
    const L = this.layers.length;
    return k === L - 1 ? "E_o" : L === 2 ? "E_h" : `E_h${k + 1}`;
  }

  // The number that was clicked, to be moved.
  slider() {
    const p = this.picked;
    if (!p) { this.slide.replaceChildren(); return; }
    const input = p.input !== null && p.input !== undefined;
    const bias = p.bias !== null && p.bias !== undefined;
    const name = input ? `x[${p.input + 1}]` : bias ? `b${p.k + 1}[${p.bias + 1}]` : `W${p.k + 1}[${p.i + 1},${p.j + 1}]`;
    const get = () => (input ? this.net.x[this.sample][p.input] : bias ? this.layers[p.k].b[p.bias] : this.layers[p.k].W[p.i][p.j]);
    const set = (v) => {
      if (!Number.isFinite(v)) return;
      this.layers = structuredClone(this.layers);
      if (input) this.net.x[this.sample][p.input] = v;
      else if (bias) this.layers[p.k].b[p.bias] = v;
      else this.layers[p.k].W[p.i][p.j] = v;
      this.draw();
    };
    if (this.slide.dataset.name === name && this.slide.contains(document.activeElement)) return;  // it is being moved
    this.slide.dataset.name = name;
    const range = el("input", { type: "range", min: -3, max: 3, step: 0.01, "aria-label": name });
    const exact = el("input", { type: "number", step: "any", "aria-label": `${name} =` });
    range.value = exact.value = get();
    range.addEventListener("input", () => { exact.value = range.value; set(Number(range.value)); });
    exact.addEventListener("change", () => { range.value = exact.value; set(Number(exact.value)); });
    this.slide.replaceChildren(el("label", {}, name), range, exact);
  }
}
