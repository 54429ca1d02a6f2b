// Loss, rate and gradient norm over the steps, by uPlot, with findings as marks.

import uPlot from "./vendor/uPlot.esm.js";
import { words } from "./api.js";
import { isDark } from "./palette.js";
import { el, number } from "./dom.js";

const LINES = { loss: "#2256c9", lr: "#18794e", grad_norm: "#b4530a" };
const DARK = { loss: "#8ab0ff", lr: "#63d297", grad_norm: "#f2a65e" };

const spans = (values) => {
  const known = values.filter((v) => v !== null && v > 0);
  return known.length > 1 && known.length === values.filter((v) => v !== null).length && Math.max(...known) / Math.min(...known) > 30;
};

// A gradient that is clipped at 1 is 1 but for its last bit: of such a range uPlot finds no ticks.
function padded(plot, low, high) {
  if (low === null) return [0, 1];
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (high - low < 1e-3 * size) return [low - size / 10, high + size / 10];
  return uPlot.rangeNum(low, high, 0.1, true);
}

// marks: [{step, label, kind}]; onRange(from, to) is called with steps when the user zooms.
export function curve(box, key, points, marks, onRange) {
  return plotted(box, points, [{ label: words[key] || key, stroke: (isDark() ? DARK : LINES)[key] }], marks, onRange, 110);
}

// Several on one axis, with a legend. named: [{label, points: [x, y], dash}], marks as above.
export function several(box, named, marks = []) {
  const known = named.filter((n) => n.points[0].length > 1), inks = Object.values(isDark() ? DARK : LINES);
  if (!known.length) return { end() {} };
  const lines = known.map((n, i) => ({ label: n.label, stroke: inks[i % inks.length], dash: n.dash }));
  const legend = el("div", { class: "legend" }, lines.map((l) => {
    const sign = el("i");
    sign.style.background = l.stroke;
    return el("span", {}, sign, l.label);
  }));
  const place = el("div", { role: "img", "aria-label": lines.map((l) => l.label).join(", ") });
  box.append(...(lines.length > 1 ? [legend, place] : [place]));
  const made = plotted(place, uPlot.join(known.map((n) => n.points)), lines, marks, (from, to) => made.range(from, to), 220);
  return made;
}

function plotted(box, points, lines, marks, onRange, height) {
  const ink = isDark() ? "#a0a9b4" : "#57606a", grid = isDark() ? "#2a313a" : "#e7eaee";
  const plot = new uPlot({
    width: Math.max(box.clientWidth, 200), height,
    legend: { show: false },
    cursor: { y: false, sync: { key: "steps" }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: false }, y: spans(points.slice(1).flat().filter((v) => v !== undefined)) ? { distr: 3 } : { range: padded } },
    axes: [
      { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 24, values: (u, at) => at.map((v) => v.toLocaleString(words.code)) },
      { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 56, values: (u, at) => at.map((v) => (v === null ? "" : number(v))) },
    ],
    series: [{}, ...lines.map((l) => ({ label: l.label, stroke: l.stroke || ink, dash: l.dash, width: 1.5, points: { show: false }, spanGaps: false }))],
    hooks: {
      setSelect: [(u) => {
        if (u.select.width > 3) onRange(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
      draw: [(u) => {
        const brush = u.ctx;
        brush.save();
        for (const mark of marks) {
          const x = u.valToPos(mark.step, "x", true);
          if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
          brush.strokeStyle = { error: "#d23b2f", warning: "#c98a17", info: "#6c8fd6" }[mark.kind] || ink;
          brush.setLineDash([4, 3]);
          brush.beginPath();
          brush.moveTo(x, u.bbox.top);
          brush.lineTo(x, u.bbox.top + u.bbox.height);
          brush.stroke();
        }
        brush.restore();
      }],
    },
  }, points, box);
  const sized = new ResizeObserver(() => { if (box.clientWidth) plot.setSize({ width: Math.max(box.clientWidth, 200), height }); });
  sized.observe(box);
  return {
    plot,
    range: (from, to) => plot.setScale("x", { min: from, max: to }),
    data: (points) => plot.setData(points),
    end: () => { sized.disconnect(); plot.destroy(); },
  };
}
