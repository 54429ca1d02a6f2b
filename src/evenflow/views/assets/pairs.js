// The seeds of a proof: each one's run before and after, joined by a line.

import { words } from "./api.js";
import { el, number, svg } from "./dom.js";

const WIDE = 360, TALL = 220, LEFT = 96, RIGHT = 110;

export function pairs(told) {
  const all = told.seeds.map((seed, i) => ({ seed, before: told.before.per_seed[i] ?? null, after: told.after.per_seed[i] ?? null }));
  if (!all.length) return null;
  const known = all.flatMap((p) => [p.before, p.after]).filter((v) => v !== null);
  return el("div", {}, known.length ? picture(all, known, told) : "", list(all));
}

function picture(all, known, told) {
  const low = Math.min(...known), span = Math.max(...known) - low || 1;
  const y = (v) => 30 + (1 - (v - low) / span) * (TALL - 50);
  const parts = [text(LEFT, 14, words.before, "middle"), text(WIDE - RIGHT, 14, words.after, "middle")];
  for (const x of [LEFT, WIDE - RIGHT]) parts.push(svg("line", { class: "grid", x1: x, x2: x, y1: 22, y2: TALL - 12 }));
  for (const { seed, before, after } of all) {
    const whole = before !== null && after !== null, better = whole && (told.larger ? after > before : after < before);
    if (whole) parts.push(svg("line", { class: better ? "better" : "worse", x1: LEFT, y1: y(before), x2: WIDE - RIGHT, y2: y(after) }));
    for (const [v, x] of [[before, LEFT], [after, WIDE - RIGHT]]) if (v !== null) parts.push(titled(svg("circle", { cx: x, cy: y(v), r: 4 }), `${words.seeds} ${seed}: ${number(v)}`));
  }
  for (const [key, x, anchor] of [["before", LEFT - 10, "end"], ["after", WIDE - RIGHT + 10, "start"]]) {
    const own = all.map((p) => p[key]).filter((v) => v !== null), ends = [...new Set([Math.max(...own), Math.min(...own)])];
    if (!own.length) continue;
    const near = ends.length > 1 && Math.abs(y(ends[0]) - y(ends[1])) < 13;
    for (const v of near ? ends.slice(0, 1) : ends) parts.push(text(x, y(v) + 4, near ? `${number(ends[1])} – ${number(ends[0])}` : number(v), anchor));
  }
  return svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, class: "pairs", role: "img", "aria-label": words.proof }, ...parts);
}

function list(all) {
  const head = [words.seeds, words.before, words.after].map((t) => el("th", { scope: "col" }, t));
  const rows = all.map((p) => el("tr", {}, el("th", { scope: "row" }, String(p.seed)), el("td", { class: "figure" }, number(p.before)), el("td", { class: "figure" }, number(p.after))));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function text(x, y, said, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = said;
  return made;
}

function titled(shape, said) {
  const title = svg("title");
  title.textContent = said;
  shape.append(title);
  return shape;
}
