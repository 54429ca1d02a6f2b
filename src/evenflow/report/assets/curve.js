/* The loss curve, with a flag where each finding begins. */
function curveChart(root) {
  const { steps, losses, broken } = DATA.curve;
  if (!steps.length) return;
  const positive = losses.every((loss) => loss > 0);
  const top = Math.max(...losses), bottom = Math.min(...losses);
  let log = positive && top / bottom > 1e3;
  let width = 0, at = -1;
  const bar = el("div", { class: "bar" });
  const options = [["linear", _("Linear")], ["log", _("Logarithmic")]];
  if (positive) {
    bar.append(choice("curve-scale", _("Scale of the loss"), log ? options.reverse() : options,
      (value) => { log = value === "log"; paint(); }));
  }
  const said = _("Loss from {first} at step {from} to {last} at step {to}, least {low}, largest {high}.", {
    first: number(losses[0]), from: whole(steps[0]), last: number(losses[losses.length - 1]),
    to: whole(steps[steps.length - 1]), low: number(bottom), high: number(top) });
  bar.append(el("span", { class: "legend" }, said));
  const plot = el("div", { class: "plot", tabindex: "0", role: "group",
    "aria-label": `${_("Loss curve.")} ${said} ${_("Left and right arrow keys read it point by point.")}` });
  const live = el("div", { class: "hidden", "aria-live": "polite" });
  root.append(bar, plot, live);
  const tip = tooltip(plot);
  const height = 250, left = 62, right = 14, above = 34, below = 28;
  const last = Math.max(steps[steps.length - 1], broken.length ? broken[broken.length - 1][1] : 0);
  const first = Math.min(steps[0], broken.length ? broken[0][0] : Infinity);
  const x = (step) => left + ((step - first) / Math.max(1, last - first)) * (width - left - right);
  const scale = (loss) => (log ? Math.log10(loss) : loss);
  let low = 0, high = 1;
  const y = (loss) => above + (1 - (scale(loss) - low) / (high - low)) * (height - above - below);
  let svg, cross;

  function paint() {
    if (svg) svg.remove();
    plot.style.height = `${height}px`;
    svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    plot.prepend(svg);
    low = scale(bottom);
    high = scale(top);
    const pad = Math.max((high - low) * 0.05, Math.abs(high) * 1e-6, 1e-12);
    low -= pad;
    high += pad;
    const decade = log && high - low > 2 ? Math.max(1, Math.ceil((high - low) / 5)) : 0;
    const marks = decade
      ? ticks(Math.ceil(low), high, (high - low) / decade).filter(Number.isInteger)
      : ticks(low, high, 5);
    for (const mark of marks) {
      const value = log ? 10 ** mark : mark;
      draw(svg, "line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) });
      draw(svg, "text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value));
    }
    for (const step of ticks(first, last, clamp(width / 110, 2, 8)).filter(Number.isInteger)) {
      draw(svg, "text", { x: x(step), y: height - 8, "text-anchor": "middle" }, whole(step));
    }
    draw(svg, "text", { x: left, y: 12 }, _("loss by step"));
    for (const [from, to] of broken) {
      draw(svg, "rect", { class: "broken", x: x(from) - 1, y: above, width: x(to) - x(from) + 2,
        height: height - above - below, opacity: 0.16 });
    }
    flags();
    let path = "", next = 0;
    steps.forEach((step, i) => {
      while (next < broken.length && broken[next][0] < step) next += 1;
      const cut = i === 0 || (next > 0 && broken[next - 1][0] > steps[i - 1]);
      path += `${cut ? "M" : "L"}${x(step).toFixed(1)} ${y(losses[i]).toFixed(1)}`;
    });
    draw(svg, "path", { class: "line", d: path });
    cross = draw(svg, "circle", { class: "dot", r: 4, visibility: "hidden" });
    if (broken.length) {
      draw(svg, "text", { x: x(broken[0][0]) + 6, y: height - below - 6 }, _("NaN or infinity"));
    }
  }

  /* Onsets that would overlap share a flag. */
  function flags() {
    const rank = { error: 2, warning: 1, info: 0 };
    const groups = [];
    for (const onset of [...DATA.onsets].sort((a, b) => a.step - b.step)) {
      const spot = x(clamp(onset.step, first, last));
      const group = groups[groups.length - 1];
      if (group && spot - group.spot < 80) group.all.push(onset);
      else groups.push({ spot, all: [onset] });
    }
    for (const { spot, all } of groups) {
      const worst = all.reduce((a, b) => (rank[b.severity] > rank[a.severity] ? b : a));
      const text = all.length > 1 ? `${worst.code} +${all.length - 1}` : worst.code;
      const wide = 12 + 7.3 * text.length;
      const from = clamp(spot, left, width - wide - 2);
      const told = all.map((o) => _("{fault} from step {step}",
        { fault: `${o.code} ${o.title}`, step: whole(o.step) })).join("; ");
      const link = draw(svg, "a", { class: `onset ${worst.severity}`, href: worst.at,
        "aria-label": told });
      draw(link, "title", {}, told);
      draw(link, "line", { x1: spot, x2: spot, y1: above - 8, y2: height - below });
      draw(link, "rect", { x: from, y: above - 17, width: wide, height: 17, rx: 4 });
      draw(link, "text", { x: from + 6, y: above - 4.5 }, text);
    }
  }

  function point(index, speak) {
    at = clamp(index, 0, steps.length - 1);
    const spot = [x(steps[at]), y(losses[at])];
    cross.setAttribute("cx", spot[0]);
    cross.setAttribute("cy", spot[1]);
    cross.setAttribute("visibility", "visible");
    tip.show(spot[0], spot[1], _("step {step}", { step: whole(steps[at]) }),
      _("loss {loss}", { loss: number(losses[at]) }));
    if (speak) live.textContent = _("step {step}, loss {loss}",
      { step: steps[at], loss: number(losses[at]) });
  }

  function leave() {
    tip.hide();
    if (cross) cross.setAttribute("visibility", "hidden");
  }

  plot.addEventListener("pointermove", (event) => {
    const spot = event.clientX - plot.getBoundingClientRect().left;
    let near = 0, far = steps.length - 1;
    while (far - near > 1) {
      const middle = (near + far) >> 1;
      if (x(steps[middle]) < spot) near = middle; else far = middle;
    }
    point(spot - x(steps[near]) < x(steps[far]) - spot ? near : far, false);
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    const jump = { ArrowRight: 1, ArrowLeft: -1, PageUp: -20, PageDown: 20 }[event.key];
    if (event.target !== plot || (!jump && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    point(event.key === "Home" ? 0 : event.key === "End" ? steps.length - 1 : at + jump, true);
  });
  fitted(plot, (now) => { width = now; paint(); });
}
