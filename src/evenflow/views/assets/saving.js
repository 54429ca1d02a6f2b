// What is seen as a file: the picture as PNG or SVG with its names and scale, its numbers as a table.

import { address, runPath, words } from "./api.js";
import { number, save } from "./dom.js";
import { kept } from "./kept.js";
import { css, decoded, TOP } from "./palette.js";

const named = (picture, end) => `${picture.run.name.replaceAll("/", "-")}-${picture.picture}.${end}`;
const LEFT = 190, TOP_SPACE = 34, FOOT = 58, WIDE = 900, TALL = 560;
const safe = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]).replace(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD]/g, "?");

// The whole picture with all its rows: names at the left, steps below, the scale under it.
export function svgOf(picture) {
  const { heat } = picture, rows = heat.rows.filter((row) => row.open !== true);
  const height = Math.min(14, Math.max(3, TALL / Math.max(rows.length, 1))), every = Math.ceil(11 / height);
  const image = heat.image(rows, WIDE), tall = rows.length * height, grid = heat.grid;
  const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), ground = style.getPropertyValue("--card");
  const text = (x, y, said, more = "") => `<text x="${x}" y="${y}" ${more}>${safe(said)}</text>`;
  const end = (v) => number(grid.log ? 10 ** v : v), foot = TOP_SPACE + tall;
  const stops = Array.from({ length: 11 }, (_, i) => `<stop offset="${i * 10}%" stop-color="${css(heat.colours[Math.round((i / 10) * TOP)])}"/>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDE + 16}" height="${foot + FOOT}" viewBox="0 0 ${LEFT + WIDE + 16} ${foot + FOOT}" font-family="system-ui, sans-serif" font-size="11" fill="${ink}">`,
    `<rect width="100%" height="100%" fill="${ground}"/>`,
    text(12, 20, `${picture.run.name} · ${picture.picture}: ${picture.hint.textContent}`, 'font-size="13" font-weight="600"'),
    `<image x="${LEFT}" y="${TOP_SPACE}" width="${WIDE}" height="${tall}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${image}"/>`,
    ...rows.map((row, i) => (i % every ? "" : text(LEFT - 6, TOP_SPACE + i * height + Math.min(height, 11), row.name.length > 30 ? `…${row.name.slice(-29)}` : row.name, 'text-anchor="end"'))),
    text(LEFT, foot + 14, `${words.step} ${Math.round(picture.from).toLocaleString(words.code)}`),
    text(LEFT + WIDE, foot + 14, Math.round(picture.to - 1).toLocaleString(words.code), 'text-anchor="end"'),
    `<defs><linearGradient id="scale">${stops.join("")}</linearGradient></defs>`,
    `<rect x="${LEFT + 60}" y="${foot + 28}" width="220" height="10" fill="url(#scale)"/>`,
    text(LEFT + 54, foot + 37, end(grid.low), 'text-anchor="end"'), text(LEFT + 286, foot + 37, end(grid.high)),
    "</svg>",
  ].join("\n");
}

export function saveSvg(picture) {
  save(named(picture, "svg"), new Blob([svgOf(picture)], { type: "image/svg+xml" }));
}

// The same drawing as pixels.
export async function savePng(picture) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgOf(picture))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth * 2, image.naturalHeight * 2];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => save(named(picture, "png"), blob));
}

// Every number that was measured, from the server; a report has those of its picture.
export async function saveCsv(picture) {
  if (!kept.on) return fetched(picture, "csv");
  const { heat, run } = picture, grid = heat.grid, cells = heat.least ? grid.least : grid.largest;
  const head = ["layer", ...grid.steps].join(",");
  const rows = grid.rows.map((id, r) => {
    const values = grid.steps.map((_, c) => decoded(cells[r * grid.columns + c], grid));
    return [`"${run.summary.sites[id].name.replaceAll('"', '""')}"`, ...values.map((v) => (v === null ? "" : v === Infinity ? "inf" : v.toPrecision(3)))].join(",");
  });
  save(named(picture, "csv"), new Blob([[head, ...rows].join("\n")], { type: "text/csv" }));
}

export async function saveParquet(picture) {
  if (kept.on) throw new Error(words.not_kept);
  return fetched(picture, "parquet");
}

async function fetched(picture, form) {
  const response = await fetch(address(runPath(picture.run.name, "table"), { picture: picture.picture, form }));
  if (!response.ok) throw new Error((await response.json()).error);
  save(named(picture, form), await response.blob());
}
