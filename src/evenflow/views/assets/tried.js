// All trials of a cure, one row a treatment and stage: dots with their intervals, and as a table.

import { words } from "./api.js";
import { el, number } from "./dom.js";

const ORDERS = { stage: () => 0, goal: null };

export function showTried(box, told, sort, onSort) {
  let order = sort in ORDERS ? sort : "stage";
  const draw = () => box.replaceChildren(el("h2", { id: "tried" }, words.tried), el("p", { class: "quiet" }, words.tried_hint), dots(told), table(told, order, (key) => { order = key; onSort(key); draw(); }));
  draw();
}

// The goal where it is known, else the training loss: a stage is of one of the two.
const measured = (arms, told) => (arms.some((a) => a.mean !== null) ? { key: "mean", name: told.goal } : { key: "loss", name: words.loss });
const name = (arm) => arm.treatment || words.untreated;

function best(told) {
  const sign = told.larger ? -1 : 1;
  const key = (a) => (a.mean === null ? Infinity : sign * a.mean);
  return (a, b) => Number(b.whole) - Number(a.whole) || (key(a) === key(b) ? 0 : key(a) - key(b));
}

// -- dots ------------------------------------------------------------------------------------------

// Stages of the whole length are on one scale, each of the others on its own.
function dots(told) {
  const stages = [...new Set(told.arms.map((a) => a.stage))];
  const whole = told.arms.filter((a) => a.whole), shared = scale(whole, measured(whole, told).key);
  return el("div", { class: "arms" }, stages.flatMap((stage) => {
    const arms = told.arms.filter((a) => a.stage === stage), { key, name: what } = measured(arms, told);
    const at = arms.every((a) => a.whole) && key === measured(whole, told).key ? shared : scale(arms, key);
    if (!at) return [];
    const steps = Math.max(...arms.map((a) => a.steps || 0));
    const untreated = arms.find((a) => !a.treatment)?.[key] ?? (at === shared ? told.arms.find((a) => a.stage === "watch")?.[key] : null) ?? null;
    return [
      el("h3", {}, `${words[`stage_${stage}`] || stage} · ${steps.toLocaleString(words.code)} ${words.steps} · ${what}`),
      ...arms.map((a) => lane(a, key, at, untreated, told.chosen)),
      el("div", { class: "arm axis", "aria-hidden": "true" }, el("span"), el("span", { class: "ends" }, el("span", {}, number(at.low)), el("span", {}, number(at.high))), el("span")),
    ];
  }));
}

function scale(arms, key) {
  const all = arms.flatMap((a) => (key === "mean" ? [a.mean, a.low, a.high] : [a.loss])).filter((v) => v !== null && v !== undefined);
  if (!all.length) return null;
  const low = Math.min(...all), high = Math.max(...all);
  return { low, high, of: (v) => (high > low ? ((v - low) / (high - low)) * 100 : 50) };
}

function lane(arm, key, at, untreated, chosen) {
  const value = arm[key], parts = [];
  const put = (kind, from, to = from) => {
    const made = el("i", { class: kind });
    made.style.left = `${at.of(from)}%`;
    if (to !== from) made.style.width = `${at.of(to) - at.of(from)}%`;
    parts.push(made);
  };
  if (untreated !== null) put("level", untreated);
  if (value !== null && key === "mean" && arm.low !== null && arm.high !== null) put("span", arm.low, arm.high);
  if (value !== null) put(arm.treatment ? "dot" : "dot hollow", value);
  const said = arm.treatment && arm.treatment === chosen ? el("strong", {}, name(arm)) : name(arm);
  return el("div", { class: "arm", title: `${name(arm)}: ${number(value)}` }, el("span", { class: "what" }, said), el("span", { class: "lane" }, el("span", { class: "inner" }, parts)), el("span", { class: "figure" }, number(value)));
}

// -- the table -------------------------------------------------------------------------------------

function table(told, order, onSort) {
  const arms = order === "goal" ? [...told.arms].sort(best(told)) : told.arms;
  const head = (text, key) => el("th", { scope: "col", "aria-sort": key && key === order ? "descending" : null }, key ? el("button", { type: "button", onclick: () => onSort(key) }, text) : text);
  const rows = arms.map((a) => el("tr", {},
    el("td", {}, a.stage),
    el("th", { scope: "row" }, a.treatment && a.treatment === told.chosen ? el("strong", {}, name(a)) : name(a)),
    el("td", { class: "figure" }, a.seeds.join(", ")),
    el("td", { class: "figure" }, number(a.mean)),
    el("td", { class: "figure" }, a.low === null || a.high === null ? "" : `[${number(a.low)}, ${number(a.high)}]`),
    el("td", { class: "figure" }, number(a.loss)),
    el("td", { class: "figure" }, (a.steps || 0).toLocaleString(words.code)),
    el("td", { class: "figure" }, number(a.seconds)),
    el("td", {}, a.ended.map((e) => words[`ended_${e}`] || e).join(", "))));
  const heads = [head(words.stage, "stage"), head(words.treatment), head(words.seeds), head(told.goal || words.mean, "goal"), head(words.interval), head(words.loss), head(words.steps), head(words.seconds), head(words.ended)];
  return el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": words.tried }, el("table", { class: "tried" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)));
}
