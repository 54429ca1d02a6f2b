// Layers x steps on a canvas: one byte a cell, a table of 256 colours, and a picture that is scaled
// so that no extreme is lost: of several cells under one pixel the worst is shown.

import { BROKEN, MISSING, TOP, ZERO, isDark, table } from "./palette.js";

// The order in which one of several cells is shown.
function ranks(least) {
  const rank = new Uint16Array(256);
  for (let code = 0; code <= TOP; code++) rank[code] = 2 + (least ? TOP - code : code);
  rank[ZERO] = least ? TOP + 3 : 1;
  rank[BROKEN] = TOP + 4;
  rank[MISSING] = 0;
  return rank;
}

// The first place in a rising list whose value is not below this.
export function place(steps, value) {
  let low = 0, high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Codes of `rows` x `width` pixels, out of a grid, for steps from..to: rows are lists of positions
// that stand for one. A pixel shows the samples taken in it; without any the latest before it.
export function scaled(grid, rows, from, to, width, least) {
  const rank = ranks(least), out = new Uint8Array(rows.length * width).fill(MISSING);
  const cells = least ? grid.least : grid.largest, columns = grid.columns;
  const begins = new Int32Array(width), ends = new Int32Array(width);
  for (let x = 0; x < width; x++) {
    const first = place(grid.steps, from + ((to - from) * x) / width);
    ends[x] = place(grid.steps, from + ((to - from) * (x + 1)) / width);
    begins[x] = first < ends[x] ? first : Math.max(first - 1, 0);
    if (first > 0) ends[x] = Math.max(ends[x], begins[x] + 1);  // before the first sample: nothing
  }
  for (let y = 0; y < rows.length; y++) {
    for (const position of rows[y]) {
      const row = position * columns;
      for (let x = 0; x < width; x++) {
        let best = out[y * width + x], worth = rank[best];
        for (let c = begins[x]; c < ends[x]; c++) {
          const code = cells[row + c];
          if (rank[code] > worth) { best = code; worth = rank[code]; }
        }
        out[y * width + x] = best;
      }
    }
  }
  return out;
}

export class Heat {
  // canvas: drawn as tall as its box; of more rows than fit those from `top` (in pixels) on.
  // coloured(dark): the 256 colours.
  constructor(canvas, coloured = table) {
    this.canvas = canvas;
    this.brush = canvas.getContext("2d");
    this.small = document.createElement("canvas");
    this.grid = null;
    this.rows = [];
    this.height = 12;
    this.top = 0;
    this.from = 0;
    this.to = 1;
    this.least = true;
    this.colours = coloured(isDark());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = coloured(isDark());
      this.draw();
    });
  }

  // The column of this grid that is shown at a step.
  column(step) {
    const at = place(this.grid.steps, step + 1e-9) - 1;
    return Math.min(Math.max(at, 0), this.grid.columns - 1);
  }

  // The rows that are to be seen, and how far the first of them is scrolled out.
  visible() {
    const first = Math.floor(this.top / this.height);
    const count = Math.ceil(this.canvas.clientHeight / this.height) + 1;
    return { rows: this.rows.slice(first, first + count), shift: first * this.height - this.top };
  }

  draw() {
    const grid = this.grid;
    if (!grid || !this.rows.length || !this.canvas.clientWidth) return;
    const began = performance.now();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const { rows, shift } = this.visible();
    this.paint(rows, width);
    this.canvas.width = width;
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.brush.imageSmoothingEnabled = false;
    this.brush.drawImage(this.small, 0, shift * ratio, width, rows.length * this.height * ratio);
    if (this.height > 5) {  // a hair between rows tells layers apart
      const style = getComputedStyle(this.canvas);
      this.brush.fillStyle = style.getPropertyValue("--card") || "#fff";
      for (let y = 0; y <= rows.length; y++) {
        this.brush.fillRect(0, Math.round((shift + y * this.height) * ratio) - 1, width, 1);
      }
    }
    this.took = performance.now() - began;
  }

  // These rows on a canvas of a pixel a row.
  paint(rows, width) {
    const codes = scaled(this.grid, rows.map((row) => (row.open ? [] : row.positions)), this.from, this.to, width, this.least);
    const image = new ImageData(width, rows.length);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < codes.length; i++) pixels[i] = this.colours[codes[i]];
    rows.forEach((row, y) => {
      if (row.open) pixels.fill(0, y * width, (y + 1) * width);
    });
    this.small.width = width;
    this.small.height = rows.length;
    this.small.getContext("2d").putImageData(image, 0, 0);
  }

  // The same as the address of an image.
  image(rows, width) {
    this.paint(rows, width);
    return this.small.toDataURL("image/png");
  }

  // As tall as its rows need, at most so many pixels; over all steps.
  fit(grid, rows, tall) {
    [this.grid, this.rows, this.from, this.to] = [grid, rows, 0, Math.max(grid.steps.at(-1) ?? 0, 0) + 1];
    this.height = Math.min(18, Math.max(2, Math.floor(tall / Math.max(rows.length, 1))));
    this.canvas.style.height = `${Math.min(rows.length * this.height, tall)}px`;
    this.draw();
  }

  // What lies under a place of the canvas: {row, position, step, code}.
  at(x, y) {
    const row = this.rows[Math.floor((y + this.top) / this.height)];
    if (!row || !this.grid) return null;
    const part = Math.min(Math.max(x / this.canvas.clientWidth, 0), 1 - 1e-9);
    const column = this.column(this.from + (this.to - this.from) * part);
    const cells = this.least ? this.grid.least : this.grid.largest;
    const rank = ranks(this.least);
    let code = MISSING, position = row.positions[0];
    for (const each of row.positions) {
      const found = cells[each * this.grid.columns + column];
      if (rank[found] > rank[code]) { code = found; position = each; }
    }
    return { row, position, code, step: this.grid.steps[column] };
  }

  // A live column, of the sites' codes by id; false where the picture must be fetched anew.
  append(step, codes) {
    const grid = this.grid;
    if (grid.start + grid.columns * 2 ** grid.level > grid.total + 2 ** grid.level) return false;
    const rank = { least: ranks(true), largest: ranks(false) };
    const joins = grid.total % 2 ** grid.level !== 0;
    const columns = joins ? grid.columns : grid.columns + 1;
    for (const plane of new Set(["least", "largest"])) {
      const old = grid[plane];
      const made = joins ? old : new Uint8Array(grid.rows.length * columns);
      grid.rows.forEach((id, row) => {
        if (!joins) made.set(old.subarray(row * grid.columns, (row + 1) * grid.columns), row * columns);
        const at = row * columns + columns - 1, code = codes[id] ?? MISSING;
        if (!joins || rank[plane][code] > rank[plane][made[at]]) made[at] = code;
      });
      grid[plane] = made;
    }
    if (!joins) grid.steps.push(step);
    grid.columns = columns;
    grid.total += 1;
    grid.stop = grid.total;
    return true;
  }
}
