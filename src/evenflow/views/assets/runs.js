// All runs of the folder: verdict, loss, script; searched, sorted, live.

import { ask, spoken, words } from "./api.js";
import { el, number, svg } from "./dom.js";
import { keep, link } from "./route.js";

const PACE = 2000;

// The loss as a small line; of a logarithm where it spans decades.
export function spark(values, width = 120, height = 26) {
  const known = values.filter((v) => v !== null && Number.isFinite(v));
  if (known.length < 2) return svg("svg", { width, height, "aria-hidden": "true" });
  const log = Math.min(...known) > 0 && Math.max(...known) / Math.min(...known) > 30;
  const y = known.map((v) => (log ? Math.log(v) : v));
  const low = Math.min(...y), span = Math.max(...y) - low || 1;
  const points = y.map((v, i) => `${(i / (y.length - 1)) * (width - 2) + 1},${height - 2 - ((v - low) / span) * (height - 4)}`);
  return svg("svg", { width, height, class: "spark", "aria-hidden": "true" }, svg("polyline", { points: points.join(" ") }));
}

const KINDS = { healthy: "ok", "no-fault": "ok", cured: "ok", warning: "warning", improved: "warning", sick: "error", uncured: "error", unreadable: "error" };

export const badge = (verdict) => {
  const kind = KINDS[verdict] || "none";
  return el("span", { class: `badge ${kind}` }, words[verdict] || words.reading);
};

const ORDERS = {
  changed: (a, b) => b.changed - a.changed,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  verdict: (a, b) => RANK.indexOf(a.verdict) - RANK.indexOf(b.verdict),
  steps: (a, b) => (b.steps || 0) - (a.steps || 0),
};
const RANK = ["sick", "uncured", "warning", "out-of-budget", "unproven", "improved", "edit", "unreadable", "unjudged", undefined, "no-fault", "cured", "healthy"];

export async function showRuns(main, state) {
  await spoken();
  let order = ORDERS[state.get("sort")] ? state.get("sort") : "changed";
  let found = [], timer = 0, left = false;
  const picked = new Set();
  const search = el("input", { type: "search", placeholder: words.search, "aria-label": words.search, value: state.get("q") || "" });
  const body = el("tbody");
  const compare = el("button", { type: "button", disabled: true }, words.compare);
  const heading = (key, text) => el("th", { scope: "col", "aria-sort": key === order ? "descending" : null }, el("button", { type: "button", onclick: () => { order = key; keep({ sort: key }); draw(); } }, text));
  const table = el("table", { class: "runs" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "hidden" }, words.compare)), heading("name", words.runs), heading("verdict", words.findings), el("th", { scope: "col" }, words.loss), heading("steps", words.steps), heading("changed", words.changed))), body);
  search.addEventListener("input", () => { keep({ q: search.value }); draw(); });
  compare.addEventListener("click", () => { location.hash = link("compare", "", { a: [...picked][0], b: [...picked][1] }); });

  function row(run) {
    const box = el("input", { type: "checkbox", "aria-label": `${words.compare}: ${run.name}` });
    box.checked = picked.has(run.name);
    box.addEventListener("change", () => {
      if (box.checked) picked.add(run.name);
      else picked.delete(run.name);
      compare.disabled = picked.size !== 2;
    });
    const live = run.ended === "" && run.verdict !== "unreadable" && Date.now() / 1000 - run.changed < 60;
    const last = (run.loss || []).at(-1);
    const kind = run.kind || "run";
    return el("tr", {},
      el("td", {}, kind === "run" ? box : ""),
      el("th", { scope: "row" }, el("a", { href: link(kind, run.name) }, run.name), el("div", { class: "quiet" }, kind === "run" ? "" : el("span", { class: "badge kind" }, words[`a_${kind}`]), run.script || run.why || "")),
      el("td", {}, badge(run.verdict), live ? el("span", { class: "badge live" }, words.live) : "", el("div", { class: "quiet" }, run.finding || "")),
      el("td", { class: "loss" }, spark(run.loss || []), el("span", {}, last === undefined ? "" : number(last))),
      el("td", { class: "figure" }, run.steps === undefined ? "" : run.steps.toLocaleString(words.code)),
      el("td", { class: "quiet" }, new Date(run.changed * 1000).toLocaleString(words.code)));
  }

  function draw() {
    const wanted = search.value.toLowerCase();
    const shown = found.filter((r) => `${r.name} ${words[`a_${r.kind}`] || ""} ${r.script || ""} ${r.finding || ""} ${words[r.verdict] || ""}`.toLowerCase().includes(wanted)).sort(ORDERS[order]);
    body.replaceChildren(...shown.map(row));
  }

  async function look() {
    const told = await ask("runs");
    if (left) return;
    const text = JSON.stringify(told.runs);
    if (text !== look.before) {
      look.before = text;
      found = told.runs;
      draw();
    }
    timer = setTimeout(() => look().catch(() => { timer = setTimeout(look, 4 * PACE); }), found.some((r) => !r.verdict) ? 150 : PACE);
  }

  await look();
  main.replaceChildren(el("section", {}, el("h1", {}, words.runs), el("div", { class: "tools" }, search, compare), found.length ? table : el("p", {}, words.no_runs)));
  return () => { left = true; clearTimeout(timer); };
}
