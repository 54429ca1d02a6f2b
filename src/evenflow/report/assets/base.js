"use strict";
const SVG = "http://www.w3.org/2000/svg";
const DATA = JSON.parse(document.getElementById("data").textContent);

/* Texts are English in the source; DATA.words has them in the page's language. */
function _(text, values = {}) {
  const said = (DATA.words && DATA.words[text]) || text;
  return said.replace(/\{(\w+)\}/g, (all, key) => (key in values ? values[key] : all));
}

/* Elements: text always goes in as text, so a name from a model can never become markup. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function draw(parent, name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/* Numbers as the rest of the report writes them: three significant digits. */
function number(x) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? _("infinity") : _("-infinity");
  if (x === 0) return "0";
  const power = Math.floor(Math.log10(Math.abs(x)));
  if (power < -3 || power >= 5) {
    const [mantissa, exponent] = x.toExponential(2).split("e");
    return `${parseFloat(mantissa)}e${parseInt(exponent, 10)}`;
  }
  if (Number.isInteger(x)) return whole(x);
  return grouped(parseFloat(x.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 }));
}

function share(x) {
  const percent = 100 * x;
  if (percent > 0 && percent < 0.1) return _("below 0.1 %");
  if (percent < 100 && percent > 99.9) return _("above 99.9 %");
  return `${percent.toFixed((percent > 0 && percent < 1) || (percent > 99 && percent < 100) ? 1 : 0)} %`;
}

/* In Russian a comma would be read as the decimal mark. */
const grouped = (text) => (document.documentElement.lang === "ru" ? text.replace(/,/g, "\u00a0") : text);
const whole = (x) => grouped(x.toLocaleString("en"));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

/* Round values between low and high, about `count` of them. */
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * base).find((s) => s >= raw * 0.75);
  const out = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-9; x += step) {
    out.push(Math.abs(x) < step * 1e-9 ? 0 : x);
  }
  return out;
}

/* A row of radio buttons: reachable by Tab, changed by arrow keys, read as one group. */
function choice(name, label, options, change) {
  const set = el("fieldset", { class: "choice" }, el("legend", { class: "hidden" }, label));
  options.forEach(([value, text, hint], number) => {
    const input = el("input", { type: "radio", name, value });
    input.checked = number === 0;
    input.addEventListener("change", () => change(value));
    set.append(el("label", { title: hint || "" }, input, text));
  });
  return set;
}

/* One tooltip for each chart, kept inside the chart. */
function tooltip(parent) {
  const box = el("div", { class: "tip", hidden: "" });
  parent.append(box);
  return {
    box,
    show(x, y, title, ...lines) {
      box.replaceChildren(el("b", {}, title), ...lines.map((line) => el("div", {}, line)));
      box.hidden = false;
      const width = parent.clientWidth;
      const left = x + 14 + box.offsetWidth > width ? x - box.offsetWidth - 14 : x + 14;
      box.style.left = `${clamp(left, 0, Math.max(0, width - box.offsetWidth))}px`;
      box.style.top = `${Math.max(0, y - box.offsetHeight - 10)}px`;
    },
    hide() { box.hidden = true; },
  };
}

/* Calls back with the width now and whenever it changes. What is watched is a bar of no height
   beside the chart: drawing changes the chart's own height, which would call back again. */
function fitted(node, redraw) {
  const ruler = el("div");
  node.before(ruler);
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.floor(ruler.clientWidth);
    if (width && width !== last) redraw((last = width));
  }).observe(ruler);
}
