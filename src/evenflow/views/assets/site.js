// One layer: what its output's sizes are, all that was read of it over the steps, which units are
// dead, its parameters, its lines, and each factor on the way from the loss.

import { askRun, words } from "./api.js";
import { el, number, svg } from "./dom.js";
import { lines } from "./findings.js";
import { MISSING, TOP, ZERO, css, isDark, table } from "./palette.js";
import { spark } from "./runs.js";

const SIZES = ["absmax", "rms", "typical"], UNSEEN = 255, WINDOW = 64;

export async function showSite(panel, name, summary, id, close) {
  const site = summary.sites[id];
  const body = el("div", {}, el("p", { class: "quiet" }, words.reading));
  panel.replaceChildren(
    el("div", { class: "bar" }, el("h2", {}, site.name), el("button", { type: "button", "aria-label": words.back, onclick: close }, "×")),
    el("p", { class: "quiet" }, `${site.op} · ${site.shape.join(" × ")}`),
    ...lines(site.lines, summary.source), body);
  let told;
  try {
    told = await askRun(name, "site", { id });
  } catch (error) {
    body.replaceChildren(el("p", { class: "refusal" }, error.message));
    return;
  }
  body.replaceChildren(sizes(told.readings), readings(told.readings), units(told.units));
  try {
    const ledger = await askRun(name, "ledger", { site: site.name });
    body.append(el("h3", {}, words.from_loss), el("p", {}, ledger.headline), waterfall(ledger));
  } catch { /* a site that no error reached has no ledger */ }
}

function readings(told) {
  const rows = told.map((r) => {
    const known = r.points[1].filter((v) => v !== null);
    return el("tr", {},
      el("th", { scope: "row", title: r.text }, r.of ? `${r.of.split(".").at(-1)} ${r.metric}` : r.metric),
      el("td", {}, spark(r.points[1], 90, 20)), el("td", {}, histogram(known)),
      el("td", { class: "figure" }, r.about ? "≈ " : "", number(known.at(-1))));
  });
  return el("div", { class: "wide" }, el("table", { class: "readings" }, el("thead", {}, el("tr", {}, [words.reading_name, words.over_steps, words.spread_of, words.latest].map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows)));
}

// How often which value was measured, in twelve bins.
function histogram(values, bins = 12, width = 48, height = 20) {
  const sizes = values.filter((v) => v > 0), log = sizes.length === values.length && Math.max(...sizes) / Math.min(...sizes) > 30;
  const at = values.map((v) => (log ? Math.log(v) : v)), low = Math.min(...at), span = Math.max(...at) - low;
  const counts = new Array(bins).fill(0);
  for (const v of at) counts[span > 0 ? Math.min(Math.floor(((v - low) / span) * bins), bins - 1) : bins >> 1] += 1;
  const most = Math.max(...counts, 1), wide = width / bins;
  return svg("svg", { width, height, class: "bins", "aria-hidden": "true" }, ...counts.map((n, i) => svg("rect", { x: i * wide, y: height - (n / most) * height, width: wide - 1, height: (n / most) * height })));
}

// |x| of the layer's output over the steps: its median, root mean square and largest, on one
// logarithmic axis.
function sizes(told, width = 340, height = 110) {
  const found = [...SIZES].reverse().map((metric) => told.find((r) => r.metric === metric && !r.of)).filter(Boolean);
  const all = found.flatMap((r) => r.points[1]).filter((v) => v > 0);
  if (found.length < 2 || !all.length) return "";
  const low = Math.log10(Math.min(...all)), high = Math.max(Math.log10(Math.max(...all)), low + 0.5);
  const last = Math.max(...found.map((r) => r.points[0].at(-1)), 1);
  const place = (x, v) => `${((x / last) * (width - 100)).toFixed(1)},${(height - 6 - ((Math.log10(v) - low) / (high - low)) * (height - 16)).toFixed(1)}`;
  const taken = [];
  const free = (y) => (taken.some((other) => Math.abs(other - y) < 11) ? free(y - 11) : y);
  const parts = found.flatMap((r) => {
    const known = r.points[0].map((x, i) => [x, r.points[1][i]]).filter(([, v]) => v > 0);
    if (!known.length) return [];
    const [x, v] = known.at(-1), [, y] = place(x, v).split(",");
    taken.push(free(Number(y) + 4));
    const label = svg("text", { x: width - 94, y: taken.at(-1) });
    label.textContent = `${r.metric} ${number(v)}`;
    return [svg("polyline", { class: r.metric, points: known.map(([a, b]) => place(a, b)).join(" ") }), label];
  });
  return el("div", {}, el("h3", {}, words.sizes), svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "sizes", role: "img", "aria-label": words.sizes }, ...parts));
}

// A cell a unit: black is dead, bright is reached by every batch of the window.
function units(text) {
  if (!text) return "";
  const counts = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const most = Math.max(...counts.filter((n) => n <= WINDOW), 1), colours = table(isDark());
  const across = Math.ceil(Math.sqrt(counts.length * 4)), cell = Math.max(2, Math.min(12, Math.floor(340 / across)));
  const canvas = el("canvas", { width: across * cell, height: Math.ceil(counts.length / across) * cell, role: "img", class: "units" });
  const brush = canvas.getContext("2d");
  counts.forEach((n, i) => {
    brush.fillStyle = css(colours[n === UNSEEN ? MISSING : n === 0 ? ZERO : Math.round((0.25 + (0.75 * n) / most) * TOP)]);
    brush.fillRect((i % across) * cell, Math.floor(i / across) * cell, cell - 1, cell - 1);
  });
  const dead = counts.filter((n) => n === 0).length;
  const said = words.units_said.replace("{dead}", number(dead)).replace("{all}", number(counts.length));
  canvas.setAttribute("aria-label", said);
  return el("div", {}, el("h3", {}, words.units), canvas, el("p", { class: "quiet" }, said));
}

// Decades of each factor on the way from the loss, one bar a factor.
function waterfall(ledger) {
  const links = ledger.links.filter((l) => Number.isFinite(l.decades));
  const most = Math.max(...links.map((l) => Math.abs(l.decades)), 0.1);
  return el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.from_loss }, el("table", { class: "waterfall" }, el("tbody", {}, links.map((l) => {
    const bar = el("i", { class: l.decades < 0 ? "down" : "up" });
    bar.style.width = `${(Math.abs(l.decades) / most) * 100}%`;
    return el("tr", {}, el("th", { scope: "row" }, l.name), el("td", {}, el("div", { class: "track" }, bar)), el("td", { class: "figure" }, l.decades.toFixed(2).replace("-", "−")));
  }))));
}
