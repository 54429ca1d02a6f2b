// What was foreseen before the first step beside what was measured at it: δ by layer, in decades
// against the last layer with weights.

import { words } from "./api.js";
import { el, number, svg } from "./dom.js";

const WIDE = 900, TALL = 260, LEFT = 46, FOOT = 22;

// told: [{forecast, pairs: [{site, foreseen, measured, error_bar}]}]
export function showForecast(box, told, sites, onSite) {
  const choice = el("select", { "aria-label": words.forecast }, told.map((t, i) => el("option", { value: i }, t.forecast)));
  const body = el("div");
  const draw = () => body.replaceChildren(...drawn(told[Number(choice.value)].pairs, sites, onSite));
  choice.addEventListener("change", draw);
  box.replaceChildren(el("div", { class: "tools" }, choice, el("span", { class: "quiet" }, words.forecast_hint)), body);
  draw();
}

function drawn(pairs, sites, onSite) {
  const known = pairs.flatMap((p) => [p.foreseen, p.measured]).filter(Number.isFinite);
  const low = Math.min(...known, -1), high = Math.max(...known, 0.5);
  const x = (i) => LEFT + (pairs.length > 1 ? (i / (pairs.length - 1)) * (WIDE - LEFT - 12) : 0);
  const y = (v) => 8 + ((high - v) / (high - low)) * (TALL - 16 - FOOT);
  const line = (key, name) => svg("polyline", { class: name, points: pairs.map((p, i) => [i, p[key]]).filter(([, v]) => Number.isFinite(v)).map(([i, v]) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ") });
  const sure = pairs.map((p, i) => ({ i, v: p.foreseen, e: p.error_bar })).filter((p) => Number.isFinite(p.v) && Number.isFinite(p.e));
  const band = svg("polygon", { class: "band", points: [...sure.map((p) => [p.i, p.v + 2 * p.e]), ...sure.toReversed().map((p) => [p.i, p.v - 2 * p.e])].map(([i, v]) => `${x(i).toFixed(1)},${y(Math.min(Math.max(v, low), high)).toFixed(1)}`).join(" ") });
  const step = Math.max(1, Math.ceil((high - low) / 6)), ticks = [];
  for (let v = Math.ceil(low); v <= high; v += step) {
    const text = svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" });
    text.textContent = `1e${v}`.replace("-", "−");
    ticks.push(svg("line", { class: "grid", x1: LEFT, x2: WIDE, y1: y(v), y2: y(v) }), text);
  }
  const ends = [[0, "start"], [pairs.length - 1, "end"]].map(([i, anchor]) => {
    const text = svg("text", { x: x(i), y: TALL - 4, "text-anchor": anchor });
    text.textContent = sites[pairs[i].id]?.name ?? pairs[i].site;
    return text;
  });
  const chart = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, class: "foreseen", role: "img", "aria-label": words.forecast_hint }, ...ticks, band, line("foreseen", "dashed"), line("measured", "whole"), ...ends);
  const rows = pairs.map((p) => el("tr", {},
    el("th", { scope: "row" }, el("button", { type: "button", class: "chip", onclick: () => onSite(p.id) }, sites[p.id]?.name ?? p.site)),
    ...[p.foreseen, p.measured, Number.isFinite(p.foreseen - p.measured) ? p.measured - p.foreseen : null, p.error_bar].map((v) => el("td", { class: "figure" }, number(v)))));
  const head = [words.site, words.foreseen, words.measured, words.difference, words.error_bar].map((text) => el("th", { scope: "col" }, text));
  return [
    el("div", { class: "legend" }, el("span", {}, el("i", { class: "whole" }), words.measured), el("span", {}, el("i", { class: "dashed" }), words.foreseen)),
    chart, el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.forecast }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)))];
}
