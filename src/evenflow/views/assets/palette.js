// Colours of a reading: viridis (perceptually uniform, told apart by colour-blind eyes), and three
// that are outside of it for what is no size.

export const TOP = 250, ZERO = 253, BROKEN = 254, MISSING = 255;

// Every 25th of matplotlib's 256 viridis colours (CC0), joined by straight lines.
const STOPS = [
  [68, 1, 84], [72, 35, 116], [64, 67, 135], [52, 94, 141], [41, 120, 142], [32, 144, 140],
  [34, 167, 132], [68, 190, 112], [121, 209, 81], [189, 222, 38], [253, 231, 36],
];

function viridis(part) {
  const at = Math.min(Math.max(part, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[low].map((c, i) => Math.round(c + (STOPS[low + 1][i] - c) * (at - low)));
}

export function special(dark) {
  return dark
    ? { [ZERO]: [0, 0, 0], [BROKEN]: [255, 64, 64], [MISSING]: [38, 44, 52] }
    : { [ZERO]: [0, 0, 0], [BROKEN]: [220, 30, 30], [MISSING]: [233, 235, 238] };
}

// 256 colours as 32-bit pixels (little-endian RGBA); `reversed`: large is dark.
export function table(dark, reversed = false) {
  const out = new Uint32Array(256);
  for (let code = 0; code <= TOP; code++) {
    const [r, g, b] = viridis(reversed ? 1 - code / TOP : code / TOP);
    out[code] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return withOdd(out, dark);
}

// Blue: the second is smaller; near white: both alike; red: the second is larger. Told apart by
// colour-blind eyes, too (ends of ColorBrewer's RdBu).
export function differing(dark) {
  const [low, middle, high] = [[33, 102, 172], dark ? [58, 62, 68] : [247, 247, 247], [178, 24, 43]];
  const out = new Uint32Array(256);
  for (let code = 0; code <= TOP; code++) {
    const at = (code / TOP) * 2 - 1, end = at < 0 ? low : high;
    const [r, g, b] = middle.map((c, i) => Math.round(c + (end[i] - c) * Math.abs(at)));
    out[code] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return withOdd(out, dark);
}

function withOdd(out, dark) {
  for (const [code, [r, g, b]] of Object.entries(special(dark))) {
    out[code] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return out;
}

export const css = (pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;

// The number that a code stands for.
export function decoded(code, range) {
  if (code === ZERO) return 0;
  if (code === BROKEN) return Infinity;
  if (code === MISSING) return null;
  const at = range.low + (code / TOP) * (range.high - range.low);
  return range.log ? 10 ** at : at;
}

export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
