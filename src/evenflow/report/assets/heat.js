/* Layers x steps as a heat map, with the profile of one step beside it on the same rows. */
const ZERO = 65000, BROKEN = 65001, MISSING = 65535, TOP = 64999;
const RAMPS = {
  decades: ["#2b1b5a", "#3c3f92", "#33689f", "#2b8f97", "#4db380", "#a5cf5b", "#f6e566"],
  share: ["#1f5562", "#3f8688", "#8fb48a", "#dcc56b", "#e58c42", "#cf4a33", "#a11d33"],
};
const SPECIAL = { [ZERO]: "#8b929c", [BROKEN]: "#e5357f" };

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function colour(stops, t) {
  const place = clamp(t, 0, 1) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const [a, b] = [channels(stops[i]), channels(stops[i + 1])];
  return a.map((from, k) => Math.round(from + (b[k] - from) * (place - i)));
}

function decode(grid, columns) {
  const raw = atob(grid.cells);
  const cells = new Uint16Array(raw.length / 2);
  for (let i = 0; i < cells.length; i += 1) {
    cells[i] = raw.charCodeAt(2 * i) | (raw.charCodeAt(2 * i + 1) << 8);
  }
  const span = grid.high - grid.low;
  return {
    ...grid,
    at: (row, column) => cells[row * columns + column],
    height: (code) => grid.low + (code / TOP) * span,
    told(code) {
      if (code === MISSING) return _("not measured");
      if (code === BROKEN) return _("NaN or infinity");
      if (code === ZERO) return _("exactly 0");
      const h = grid.low + (code / TOP) * span;
      return grid.log ? `${number(10 ** h)} (10^${h.toFixed(2)})` : share(h);
    },
  };
}

/* The last column with a number in at least half its rows: where a profile still says something. */
function lastSound(grid, columns) {
  for (let k = columns - 1; k > 0; k -= 1) {
    const sound = grid.rows.filter((_, r) => grid.at(r, k) <= ZERO).length;
    if (2 * sound >= grid.rows.length) return k;
  }
  return columns - 1;
}

function heatChart(root) {
  const steps = DATA.steps;
  const grids = DATA.grids.map((grid) => decode(grid, steps.length));
  if (!grids.length || !steps.length) {
    root.append(el("p", { class: "quiet" }, _("No layer was measured.")));
    return;
  }
  let grid = grids[0], width = 0, step = lastSound(grids[0], steps.length), row = -1, parts;
  const bar = el("div", { class: "bar" });
  const legend = el("div", { class: "legend" });
  bar.append(choice("heat-kind", _("What the map shows"),
    grids.map((g) => [g.key, g.title, g.hint]),
    (key) => { grid = grids.find((g) => g.key === key); row = -1; paint(); }), legend);
  const plot = el("div", { class: "plot", tabindex: "0", role: "group" });
  const live = el("div", { class: "hidden", "aria-live": "polite" });
  const range = el("input", { type: "range", min: 0, max: steps.length - 1, value: step,
    id: "heat-step", "aria-label": _("Step whose profile is drawn") });
  const output = el("output", { for: "heat-step" });
  const note = el("p", { class: "quiet" });
  const slide = el("div", { class: "slide" }, output, range);
  root.append(bar, plot, slide, note, live);
  const tip = tooltip(plot);
  const canvas = el("canvas", { "aria-hidden": "true" });

  const label = (r) => DATA.names[grid.rows[r]] || _("site {site}", { site: grid.rows[r] });

  function measure() {
    const rows = grid.rows.length;
    const wide = width > 700;
    const longest = Math.max(...grid.rows.map((_, r) => label(r).length));
    const left = Math.round(clamp(14 + 6.35 * longest, 60, clamp(width * 0.24, 84, 190)));
    const side = wide ? Math.round(clamp(width * 0.22, 160, 240)) : Math.round(width * 0.24);
    const high = clamp(rows * 14, 120, 520);
    return { rows, left, side, high, above: 22, wide: width - left - side - 26, each: high / rows };
  }

  function paint() {
    const m = (parts = measure());
    plot.replaceChildren();
    plot.style.height = `${m.above + m.high + 40}px`;
    canvas.width = steps.length;
    canvas.height = m.rows;
    canvas.style.cssText =
      `left:${m.left}px;top:${m.above}px;width:${m.wide}px;height:${m.high}px`;
    const brush = canvas.getContext("2d");
    const image = brush.createImageData(steps.length, m.rows);
    const stops = RAMPS[grid.log ? "decades" : "share"];
    for (let r = 0; r < m.rows; r += 1) {
      for (let k = 0; k < steps.length; k += 1) {
        const code = grid.at(r, k);
        if (code === MISSING) continue;
        const rgb = SPECIAL[code] ? channels(SPECIAL[code]) : colour(stops, code / TOP);
        image.data.set([...rgb, 255], 4 * (r * steps.length + k));
      }
    }
    brush.putImageData(image, 0, 0);
    slide.style.gridTemplateColumns = `${m.left - 8}px ${m.wide + 8}px 1fr`;
    const svg = draw(plot, "svg", { width, height: m.above + m.high + 40 });
    plot.prepend(canvas);
    axes(svg, m);
    m.cursor = draw(svg, "rect", { class: "cross", y: m.above - 1, height: m.high + 2, rx: 2 });
    m.side_layer = draw(svg, "g");
    paintLegend(stops);
    const all = grid.whole > m.rows ? _("{count} of {all} layers", { count: m.rows, all: grid.whole })
      : _("{count} layers", { count: m.rows });
    const some = DATA.sampled > steps.length
      ? _("{count} of {all} measured steps", { count: steps.length, all: whole(DATA.sampled) })
      : _("{count} steps", { count: steps.length });
    note.textContent = _("{hint} Shown: {layers}, {steps}.", { hint: grid.hint, layers: all, steps: some });
    plot.setAttribute("aria-label", _("{title} of {layers} at {steps}.",
      { title: grid.title, layers: all, steps: some }) + " " +
      _("Arrow keys move through layers and steps and read each value. The table of layers below holds the latest values."));
    plot.append(tip.box);
    tip.hide();
    move(step);
  }

  function axes(svg, m) {
    const skip = Math.max(1, Math.ceil(13 / m.each));
    const most = Math.floor((m.left - 12) / 6.35);
    for (let r = 0; r < m.rows; r += 1) {
      const named = DATA.named[grid.rows[r]];
      if (r % skip) continue;
      const text = label(r);
      const shown = text.length > most ? `…${text.slice(1 - most)}` : text;
      const node = draw(svg, "text", { class: `row ${named || ""}`, x: m.left - 8,
        y: m.above + (r + 0.5) * m.each + 3.5, "text-anchor": "end" }, shown);
      draw(node, "title", {}, text);
    }
    const count = clamp(Math.floor(m.wide / 90), 2, 9);
    for (let i = 0; i < count; i += 1) {
      const k = Math.round((i * (steps.length - 1)) / Math.max(1, count - 1));
      const anchor = i === 0 ? "start" : i === count - 1 ? "end" : "middle";
      const spot = m.left + ((i === 0 ? 0 : i === count - 1 ? 1 : 0.5) + k) * (m.wide / steps.length);
      draw(svg, "text", { x: spot, y: m.above + m.high + 16, "text-anchor": anchor },
        whole(steps[k]));
      if (steps.length === 1) break;
    }
    draw(svg, "text", { x: m.left + m.wide / 2, y: m.above + m.high + 34,
      "text-anchor": "middle" }, _("measured step"));
    draw(svg, "text", { class: "head", x: m.left, y: 12 }, `${grid.title}: ${grid.unit}`);
  }

  function paintLegend(stops) {
    const ramp = el("i", { class: "ramp" });
    ramp.style.background = `linear-gradient(90deg, ${stops.join(",")})`;
    const ends = grid.log
      ? [number(10 ** grid.low), number(10 ** grid.high)] : ["0 %", "100 %"];
    legend.replaceChildren(el("span", {}, ends[0], ramp, ends[1]));
    const seen = new Set();
    for (let r = 0; r < parts.rows; r += 1) {
      for (let k = 0; k < steps.length; k += 1) seen.add(grid.at(r, k));
    }
    [[ZERO, _("exactly 0")], [BROKEN, _("NaN or infinity")], [MISSING, _("not measured")]]
      .filter(([code]) => seen.has(code)).forEach(([code, text]) => {
        const swatch = el("i", {});
        swatch.style.background = SPECIAL[code] || "var(--missing)";
        legend.append(el("span", {}, swatch, text));
      });
  }

  /* The profile of one step: value by layer on the map's own rows; the first step as a ghost. */
  function profile() {
    const m = parts, g = m.side_layer;
    g.replaceChildren();
    const left = m.left + m.wide + 14, right = left + m.side;
    const low = grid.log ? Math.floor(grid.low) : 0, high = grid.log ? Math.ceil(grid.high) : 1;
    const x = (h) => left + ((h - low) / Math.max(high - low, 1e-9)) * m.side;
    for (const mark of ticks(low, high, m.side / 62)) {
      if (grid.log && !Number.isInteger(mark)) continue;
      draw(g, "line", { class: "grid", x1: x(mark), x2: x(mark), y1: m.above,
        y2: m.above + m.high });
      // Outer labels stay within the profile: beside them stands the map's last step.
      const anchor = x(mark) < left + 16 ? "start" : x(mark) > right - 16 ? "end" : "middle";
      draw(g, "text", { x: x(mark), y: m.above + m.high + 16, "text-anchor": anchor },
        grid.log ? `1e${mark}` : `${Math.round(100 * mark)} %`);
    }
    draw(g, "text", { class: "head", x: left, y: 12 }, _("at step {step}", { step: whole(steps[step]) }));
    if (step !== 0 && m.side > 150) {
      draw(g, "text", { x: right, y: 12, "text-anchor": "end" }, _("dashed: step {step}", { step: steps[0] }));
    }
    const trace = (k) => {
      let path = "", pen = "M";
      for (let r = 0; r < m.rows; r += 1) {
        const code = grid.at(r, k);
        if (code > TOP) { if (code === MISSING) continue; pen = "M"; continue; }
        path += `${pen}${x(grid.height(code)).toFixed(1)} ${(m.above + (r + 0.5) * m.each).toFixed(1)}`;
        pen = "L";
      }
      return path;
    };
    if (step !== 0) draw(g, "path", { class: "ghost", d: trace(0) });
    draw(g, "path", { class: "line", d: trace(step) });
    for (let r = 0; r < m.rows; r += 1) {
      const code = grid.at(r, step), spot = m.above + (r + 0.5) * m.each;
      if (code === MISSING) continue;
      if (code === ZERO || code === BROKEN) {
        draw(g, "rect", { class: code === ZERO ? "zero" : "broken", x: left - 3, y: spot - 3,
          width: 6, height: 6 });
      } else if (m.each >= 5 || r === row) {
        draw(g, "circle", { class: "dot", cx: x(grid.height(code)), cy: spot,
          r: r === row ? 4.5 : Math.min(2.6, m.each / 3) });
      }
    }
    if (row >= 0) {
      draw(g, "rect", { class: "cross", x: m.left - 1, y: m.above + row * m.each - 0.5,
        width: m.wide + 2, height: m.each + 1, opacity: 0.7 });
    }
  }

  function move(to) {
    step = clamp(to, 0, steps.length - 1);
    range.value = step;
    range.setAttribute("aria-valuetext", _("step {step}", { step: steps[step] }));
    output.textContent = _("step {step}", { step: whole(steps[step]) });
    const each = parts.wide / steps.length;
    parts.cursor.setAttribute("x", parts.left + step * each - 0.75);
    parts.cursor.setAttribute("width", each + 1.5);
    profile();
  }

  function show(r, k, speak) {
    row = r;
    const value = grid.told(grid.at(r, k));
    const x = parts.left + (k + 0.5) * (parts.wide / steps.length);
    tip.show(x, parts.above + r * parts.each, label(r), _("step {step}", { step: whole(steps[k]) }),
      `${grid.unit}: ${value}`);
    if (speak) live.textContent = _("{layer}, step {step}, {value}",
      { layer: label(r), step: steps[k], value });
  }

  function cell(event) {
    const box = plot.getBoundingClientRect();
    const r = Math.floor((event.clientY - box.top - parts.above) / parts.each);
    const k = Math.floor(((event.clientX - box.left - parts.left) / parts.wide) * steps.length);
    return r >= 0 && r < parts.rows && k < steps.length ? [r, Math.max(0, k), k >= 0] : null;
  }

  plot.addEventListener("pointermove", (event) => {
    const hit = cell(event);
    if (!hit) {
      const box = plot.getBoundingClientRect();
      const r = Math.floor((event.clientY - box.top - parts.above) / parts.each);
      if (r < 0 || r >= parts.rows) { leave(); return; }
      show(r, step, false);
    } else show(hit[0], hit[2] ? hit[1] : step, false);
    profile();
  });
  plot.addEventListener("pointerdown", (event) => {
    const hit = cell(event);
    if (hit && hit[2]) move(hit[1]);
  });
  function leave() { row = -1; tip.hide(); profile(); }
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    const by = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1],
      PageDown: [10, 0], PageUp: [-10, 0], End: [0, 1e9], Home: [0, -1e9] }[event.key];
    if (!by) return;
    event.preventDefault();
    row = clamp(row < 0 ? 0 : row + by[0], 0, parts.rows - 1);
    move(step + by[1]);
    show(row, step, true);
  });
  range.addEventListener("input", () => move(Number(range.value)));
  fitted(plot, (now) => { width = now; paint(); });
}
