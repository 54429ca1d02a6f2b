// Findings in words: the cause first, its line in the script, what followed, what to do.

import { words } from "./api.js";
import { el } from "./dom.js";

const place = (w) => (w.file.startsWith("cell ") ? `${w.file}, line ${w.line}` : `${w.file}:${w.line}`);

// The lines around a line, as the run has kept them; the call is marked.
export function source(where, kept) {
  const lines = where.library ? null : kept[where.file];
  if (!lines || lines[where.line] === undefined) return null;
  const rows = [];
  for (let n = where.line - 2; n <= where.line + 2; n++) {
    const text = lines[n];
    if (text === undefined) continue;
    const told = n === where.line && where.column && where.end;
    const parts = told
      ? [text.slice(0, where.column - 1), el("mark", {}, text.slice(where.column - 1, where.end - 1)), text.slice(where.end - 1)]
      : [text];
    rows.push(el("span", { class: "quiet" }, `${String(n).padStart(5)}  `), ...parts, "\n");
  }
  return el("pre", { class: "source", tabindex: 0, role: "region", "aria-label": place(where) }, rows);
}

export function lines(where, kept) {
  return where.map((w) => el("div", {}, el("code", {}, place(w), w.function ? ` ${w.function}` : ""), source(w, kept)));
}

// told: what `check --json` says; onSite(id) opens a layer.
export function findings(told, kept, onSite) {
  if (!told.findings.length) return el("p", { class: "quiet" }, told.said);
  return el("div", {}, told.findings.map((f, i) => {
    const kind = f.severity;
    const sites = f.sites.slice(0, 8).map((id) => el("button", { type: "button", class: "chip", onclick: () => onSite(id) }, told.sites[id] || `${id}`));
    return el("details", { class: `finding ${kind}`, open: i === 0 },
      el("summary", {}, el("span", { class: `badge ${kind}` }, words[kind] || kind), " ", el("strong", {}, `${f.code} ${f.name}`)),
      el("p", {}, f.message),
      lines(f.where.slice(0, 2), kept),
      sites.length ? el("p", { class: "chips" }, sites) : null,
      f.remedies.length ? el("div", {}, el("h3", {}, words.what_to_do), el("ol", {}, f.remedies.slice(0, 3).map((r) => el("li", {}, r)))) : null);
  }));
}
