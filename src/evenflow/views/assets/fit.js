// A model of `evenflow fit`: its curves, how good it is, what was found and done, what it reads.

import { askRecord, spoken, words } from "./api.js";
import { several } from "./curves.js";
import { el, number } from "./dom.js";
import { badge } from "./runs.js";

export async function showFit(main, name) {
  const told = await askRecord("fit", name);
  await spoken();
  const { fit } = told, known = (c) => c[1].filter((v) => v !== null);
  const least = Math.min(...known(fit.validation[1].length ? fit.validation : fit.training));
  const said = words[fit.learned ? "learned" : "unlearned"].replace("{loss}", number(least)).replace("{base}", number(fit.baseline));
  const loss = el("div"), rate = el("div");
  const verdict = told.warnings.length && fit.verdict === "healthy" ? "warning" : fit.verdict;
  main.replaceChildren(
    el("section", { class: "head" }, el("h1", {}, name), badge(verdict), el("p", { class: "said" }, told.warnings.map((w) => el("strong", {}, w, " ")), said)),
    el("div", { class: "two" },
      card(words.learning_curves, el("p", { class: "quiet" }, words.by_epoch), loss, known(fit.rate).length > 1 ? el("h3", {}, words.lr) : "", rate, el("p", {}, ended(fit))),
      el("div", {}, card(words.result, result(told)), card(words.seen_and_done, done(fit)))),
    card(words.columns, columns(told)), card(words.settings, pairs(Object.entries(fit.settings))));
  const made = [several(loss, lines(fit), [{ step: fit.kept, kind: "info" }]), several(rate, [{ label: words.lr, points: fit.rate }])];
  return () => made.forEach((m) => m.end());
}

const card = (heading, ...parts) => el("section", { class: "card", "aria-label": heading }, el("h2", {}, heading), ...parts);
const pairs = (rows) => el("dl", { class: "facts" }, rows.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));

function lines(fit) {
  const epochs = [...fit.training[0], ...fit.validation[0]], ends = [Math.min(...epochs), Math.max(...epochs)];
  const drawn = [{ label: words.training_rows, points: fit.training }, { label: words.validation_rows, points: fit.validation }];
  if (fit.baseline !== null && epochs.length) drawn.push({ label: words.best_constant, points: [ends, [fit.baseline, fit.baseline]], dash: [5, 4] });
  return drawn;
}

const ended = (fit) => words.kept_epoch.replace("{kept}", fit.kept ?? "–").replace("{epochs}", fit.epochs ?? "–").replace("{why}", words[`stopped_${fit.stopped}`] || fit.stopped);

function result({ target, fit, metrics }) {
  const rows = Object.entries(metrics).map(([key, value]) => [key, el("span", { class: "figure" }, number(value), fit.spread[key] > 0 ? ` ± ${number(fit.spread[key])}` : "")]);
  const costs = fit.cost === null || fit.guess === null ? "" : words.row_costs.replace("{cost}", number(fit.cost)).replace("{guess}", number(fit.guess));
  return el("div", {}, el("p", { class: "quiet" }, `${fit.data}: ${target}`), pairs(rows), el("p", {}, costs), fit.notes.map((n) => el("p", { class: "quiet" }, n)));
}

function done(fit) {
  const said = [...fit.findings.map((f) => el("li", {}, badge({ error: "sick", warning: "warning" }[f.severity] || "healthy"), ` ${f.code} ${f.name}: ${f.message}`)), ...fit.treatments.map((t) => el("li", {}, `${words.epoch} ${t.epoch ?? 0}: ${t.treatment}. ${t.reason}`))];
  return said.length ? el("ul", {}, said) : el("p", {}, words.nothing_wrong);
}

function columns(told) {
  const head = [words.column, words.kind, words.read, words.why].map((text) => el("th", { scope: "col" }, text));
  const rows = told.columns.map((c) => el("tr", {}, el("th", { scope: "row" }, c.name), el("td", {}, words[`kind_${c.kind}`] || c.kind), el("td", {}, c.used ? words.yes : words.no), el("td", {}, c.why)));
  return el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.columns },
    el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)), told.left ? el("p", { class: "quiet" }, words.left_columns.replace("{count}", told.left)) : "");
}
