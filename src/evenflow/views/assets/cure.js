// A cure: what the run suffered from, what was chosen, its proof, and all that was tried.

import { askRecord, spoken, words } from "./api.js";
import { several } from "./curves.js";
import { el, number } from "./dom.js";
import { pairs } from "./pairs.js";
import { keep, link } from "./route.js";
import { badge } from "./runs.js";
import { showTried } from "./tried.js";

export async function showCure(main, name, state) {
  const told = await askRecord("cure", name);
  await spoken();
  const losses = el("div"), tried = el("section", { class: "card", "aria-labelledby": "tried" });
  const proof = pairs(told);
  main.replaceChildren(
    el("section", { class: "head" }, el("h1", {}, name), badge(told.verdict), el("p", { class: "said" }, (words[`said_${told.verdict}`] || "").replace("{n}", told.seeds.length))),
    el("div", { class: "two" },
      el("div", {},
        el("section", { class: "card", "aria-label": words.treatment }, facts(told), links(told)),
        el("section", { class: "card", "aria-label": words.loss_both, hidden: !curves(told).length }, el("h2", {}, words.loss_both), losses)),
      el("div", {}, proof ? el("section", { class: "card", "aria-label": words.proof }, el("h2", {}, words.proof), proof) : "")),
    tried, ...more(told));
  const made = several(losses, curves(told));
  showTried(tried, told, state.get("sort"), (sort) => keep({ sort }));
  return () => made.end();
}

const code = (text) => el("code", {}, text);

function facts(told) {
  const rows = [
    [words.suffered_from, told.findings.map((f) => el("div", {}, f))],
    [words.at, told.lines.map((l) => el("div", {}, code(l)))],
    [words.treatment, told.chosen && el("strong", {}, code(told.chosen))],
    [words.before, told.before.mean === null && !told.before.per_seed.length ? "" : interval(told.before)],
    [words.after, told.after.per_seed.length ? [interval(told.after), " · ", words.better_on.replace("{wins}", told.wins ?? 0).replace("{seeds}", told.seeds.length)] : ""],
    [words.gain_by_seed, told.gain.mean === null ? "" : interval(told.gain)],
    [words.as_line, told.line && code(told.line)],
    ["", [...told.notes, told.cut ? words.cut : ""].filter(Boolean).map((n) => el("div", {}, n))],
  ].filter(([, value]) => value && value.length !== 0);
  return el("div", {},
    el("p", { class: "quiet" }, `${told.script} · ${told.goal} (${told.larger ? words.larger_better : words.smaller_better})`),
    el("dl", { class: "facts" }, rows.map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]).flat()));
}

export function interval(of) {
  const ends = of.low === null || of.high === null ? "" : ` [${number(of.low)}, ${number(of.high)}]`;
  return el("span", { class: "figure" }, `${number(of.mean)}${ends}`);
}

function links({ runs }) {
  const all = [
    runs.before && el("a", { href: link("run", runs.before) }, words.open_before),
    runs.after && el("a", { href: link("run", runs.after) }, words.open_after),
    runs.before && runs.after && el("a", { href: link("compare", "", { a: runs.before, b: runs.after }) }, words.compare_both),
  ].filter(Boolean);
  return all.length ? el("p", { class: "links" }, all) : "";
}

// Of the same seed: the untreated run, and the treated one of the script's whole length.
function curves(told) {
  const before = told.trials.find((t) => t.stage === "watch");
  const after = told.chosen ? told.trials.filter((t) => t.treatment === told.chosen && t.seed === 0).sort((a, b) => (b.steps || 0) - (a.steps || 0))[0] : null;
  if (!before || !after) return [];
  return [{ label: words.before, points: before.curve }, { label: words.after, points: after.curve }].filter((c) => c.points[0].length > 1);
}

// What was not tried, what the script itself may change, and what could not be controlled.
function more(told) {
  const edits = (all) => all.map((e) => el("div", {}, el("p", {}, code(e.treatment), e.why ? `: ${e.why}` : ""), e.code ? el("pre", { class: "source" }, e.code) : ""));
  const items = (all) => (all.length ? [el("ul", {}, all.map((x) => el("li", {}, x)))] : []);
  const parts = [
    [words.edits, edits(told.edits)],
    [words.proposed, edits(told.proposed)],
    [words.patch, told.patch.why || told.patch.diff ? [el("p", {}, told.patch.why), told.patch.diff ? el("pre", { class: "source" }, told.patch.diff) : ""] : []],
    [words.refused, items(told.refused.map((r) => [code(r.treatment), `: ${r.why}`]))],
    [words.not_controlled, items(told.uncontrolled)],
  ].filter(([, inner]) => inner.length);
  return parts.map(([heading, inner]) => el("section", { class: "card", "aria-label": heading }, el("h2", {}, heading), inner));
}
