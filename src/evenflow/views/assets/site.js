// One layer: all that was read of it over the steps, its parameters, its lines, its share of the
// way from the loss.

import { ask, runPath, words } from "./api.js";
import { el, number } from "./dom.js";
import { lines } from "./findings.js";
import { spark } from "./runs.js";

export async function showSite(panel, name, summary, id, close) {
  const site = summary.sites[id];
  const body = el("div", {}, el("p", { class: "quiet" }, words.reading));
  panel.replaceChildren(
    el("div", { class: "bar" }, el("h2", {}, site.name), el("button", { type: "button", "aria-label": words.back, onclick: close }, "×")),
    el("p", { class: "quiet" }, `${site.op} · ${site.shape.join(" × ")}`),
    ...lines(site.lines, summary.source), body);
  let told;
  try {
    told = await ask(runPath(name, "site"), { id });
  } catch (error) {
    body.replaceChildren(el("p", { class: "refusal" }, error.message));
    return;
  }
  const rows = told.readings.map((r) => {
    const known = r.points[1].filter((v) => v !== null);
    return el("tr", {}, el("th", { scope: "row", title: r.text }, r.of ? `${r.of.split(".").at(-1)} ${r.metric}` : r.metric), el("td", {}, spark(r.points[1], 90, 20)), el("td", { class: "figure" }, number(known.at(-1))));
  });
  body.replaceChildren(el("table", { class: "readings" }, el("tbody", {}, rows)));
  try {
    const ledger = await ask(runPath(name, "ledger"), { site: site.name });
    body.append(el("h3", {}, words.from_loss), el("p", {}, ledger.headline), waterfall(ledger));
  } catch { /* a site that no error reached has no ledger */ }
}

// Decades of each factor on the way from the loss, one bar a factor.
function waterfall(ledger) {
  const links = ledger.links.filter((l) => Number.isFinite(l.decades));
  const most = Math.max(...links.map((l) => Math.abs(l.decades)), 0.1);
  return el("div", { class: "scroller" }, el("table", { class: "waterfall" }, el("tbody", {}, links.map((l) => {
    const bar = el("i", { class: l.decades < 0 ? "down" : "up" });
    bar.style.width = `${(Math.abs(l.decades) / most) * 100}%`;
    return el("tr", {}, el("th", { scope: "row" }, l.name), el("td", {}, el("div", { class: "track" }, bar)), el("td", { class: "figure" }, l.decades.toFixed(2).replace("-", "−")));
  }))));
}
