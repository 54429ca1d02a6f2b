// Answers that this file holds itself: a report asks no server.

import { decoded } from "./palette.js";

const told = document.getElementById("kept");
export const kept = { on: Boolean(told), words: {}, runs: {}, nets: {} };

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// To be awaited before anything is asked.
export async function unpack() {
  Object.assign(kept, JSON.parse(new TextDecoder().decode(await unpacked(told.textContent))));
}

// Header and planes as the server sends them; what was kept is all there is, at one fineness.
export async function keptGrid(name, picture) {
  const found = kept.runs[name]?.grids[picture];
  if (!found) throw new Error(kept.words.not_kept);
  return unpacked(found);
}

// What the server would have answered.
export async function keptAnswer(name, what, asked, grid) {
  const run = kept.runs[name];
  if (!run) throw new Error(kept.words.not_kept);
  if (what === "step") return step(run, asked, grid);
  if (what === "site") return run.sites[asked.id] || site(run, asked.id, grid);
  if (what === "ledger") {
    if (run.ledgers[asked.site]) return run.ledgers[asked.site];
    throw new Error(kept.words.not_kept);
  }
  if (run[what] === undefined) throw new Error(kept.words.not_kept);
  return run[what];
}

// Values of all sites at a sampled step: kept whole for the last, else as exact as the colours are.
async function step(run, asked, grid) {
  const last = run.summary.steps - 1, column = asked.column === undefined ? last : Number(asked.column);
  if (column === last) return run.step;
  const values = {};
  let at = 0;
  for (const picture of asked.pictures.split(",")) {
    const found = await grid(picture), place = Math.min(column >> found.level, found.columns - 1);
    const cells = found.worst ? found.least : found.largest;
    const all = new Array(run.summary.sites.length).fill(null);
    found.rows.forEach((id, row) => {
      const value = decoded(cells[row * found.columns + place], found);
      all[id] = value === Infinity ? "Infinity" : value;
    });
    values[picture] = all;
    at = found.steps[place];
  }
  return { step: at, values };
}

// The readings of a layer that no finding names, off the pictures.
async function site(run, id, grid) {
  const readings = [];
  for (const { name, text } of run.summary.pictures) {
    if (!run.grids[name]) continue;
    const found = await grid(name), row = found.rows.indexOf(Number(id));
    if (row < 0) continue;
    const cells = (found.worst ? found.least : found.largest).subarray(row * found.columns, (row + 1) * found.columns);
    const values = [...cells].map((code) => decoded(code, found)).map((v) => (Number.isFinite(v) ? v : null));
    if (values.some((v) => v !== null)) readings.push({ metric: name, of: "", text, points: [found.steps, values], about: true });
  }
  return { id, readings, dead: null };
}
