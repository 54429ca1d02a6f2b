// The network as the tape saw it: layers from the input to the loss, coloured by a reading at a
// step; a backward pass that can be played.

import { ask, runPath, words } from "./api.js";
import { el, number, svg } from "./dom.js";
import { BROKEN, MISSING, TOP, ZERO, css, isDark, table } from "./palette.js";

const WIDE = 132, TALL = 30, GAP_X = 24, GAP_Y = 26, MOST = 600;

// Depth of each site: one more than the deepest of what it reads.
function depths(sites) {
  const depth = new Map();
  for (const site of sites) {
    depth.set(site.id, site.inputs.reduce((most, i) => Math.max(most, (depth.get(i) ?? -1) + 1), 0));
  }
  return depth;
}

export async function showNetwork(box, name, summary, picture, onSite) {
  const sites = summary.sites.filter((s) => s.call === 0).slice(0, MOST);
  if (!sites.length) {
    box.replaceChildren(el("p", {}, words.no_network));
    return { end() {}, paint() {} };
  }
  const depth = depths(sites), known = new Map(), levels = [];
  for (const site of sites) (levels[depth.get(site.id)] ||= []).push(site.id);
  levels.forEach((ids, y) => ids.forEach((id, x) => known.set(id, { x: (x - (ids.length - 1) / 2) * (WIDE + GAP_X), y: y * (TALL + GAP_Y) })));
  const wide = Math.max(...levels.map((ids) => ids?.length || 1)) * (WIDE + GAP_X);
  const tall = levels.length * (TALL + GAP_Y);
  const edges = sites.flatMap((s) => s.inputs.filter((i) => known.has(i)).map((i) => {
    const [a, b] = [known.get(i), known.get(s.id)];
    return svg("path", { class: "edge", d: `M${a.x} ${a.y + TALL} C${a.x} ${a.y + TALL + GAP_Y} ${b.x} ${b.y - GAP_Y} ${b.x} ${b.y}` });
  }));
  const boxes = new Map();
  const nodes = sites.map((s) => {
    const at = known.get(s.id);
    const rect = svg("rect", { x: at.x - WIDE / 2, y: at.y, width: WIDE, height: TALL, rx: 6 });
    const label = s.name.length > 19 ? `…${s.name.slice(-18)}` : s.name;
    const title = svg("title");
    title.textContent = s.name;
    const text = svg("text", { x: at.x, y: at.y + TALL / 2 + 4, "text-anchor": "middle" });
    text.textContent = label;
    const node = svg("g", { class: "node", tabindex: 0, role: "button", onclick: () => onSite(s.id), onkeydown: (e) => { if (e.key === "Enter") onSite(s.id); } }, rect, text, title);
    boxes.set(s.id, { rect, text, title, node, name: s.name });
    return node;
  });
  const drawing = svg("svg", { viewBox: `${-wide / 2} -6 ${wide} ${tall + 6}`, width: wide, height: tall + 6, class: "network", role: "group", "aria-label": words.network }, ...edges, ...nodes);
  const slider = el("input", { type: "range", min: 0, max: Math.max(summary.steps - 1, 0), value: Math.max(summary.steps - 1, 0), "aria-label": words.step });
  const at = el("span", { class: "figure" });
  const play = el("button", { type: "button" }, words.play);
  box.replaceChildren(el("div", { class: "tools" }, slider, at, play), el("div", { class: "scroller" }, drawing));
  let timer = 0, wanted = 0;

  async function paint(now = picture) {
    picture = now;
    const mine = ++wanted;
    const told = await ask(runPath(name, "step"), { column: slider.value, pictures: picture });
    if (mine !== wanted) return;
    at.textContent = `${words.step} ${told.step.toLocaleString(words.code)} · ${picture}`;
    const values = told.values[picture] || [];
    const sizes = values.filter((v) => typeof v === "number" && v > 0);
    const low = Math.log10(Math.min(...sizes)), high = Math.log10(Math.max(...sizes)), colours = table(isDark());
    for (const [id, { rect, text, title, name: called }] of boxes) {
      const v = values[id];
      const code = v === null || v === undefined ? MISSING : typeof v === "string" ? BROKEN : v === 0 ? ZERO : Math.round(((Math.log10(Math.abs(v)) - low) / Math.max(high - low, 1e-9)) * TOP);
      rect.style.fill = css(colours[code]);
      const [r, g, b] = [colours[code] & 255, (colours[code] >> 8) & 255, (colours[code] >> 16) & 255];
      text.style.fill = 0.3 * r + 0.59 * g + 0.11 * b > 140 ? "#111" : "#fff";
      title.textContent = `${called}: ${picture} ${number(v)}`;
    }
  }

  slider.addEventListener("input", () => paint());
  play.addEventListener("click", () => {
    clearInterval(timer);
    let level = levels.length - 1;
    timer = setInterval(() => {
      for (const { node } of boxes.values()) node.classList.remove("now");
      (levels[level] || []).forEach((id) => {
        boxes.get(id).node.classList.add("now");
        if (level % 6 === 0) boxes.get(id).node.scrollIntoView?.({ block: "nearest" });
      });
      if (level-- < 0) clearInterval(timer);
    }, Math.max(40, Math.min(400, 4000 / levels.length)));
  });
  await paint();
  return { end: () => clearInterval(timer), paint };
}
