// Back-propagation through a small network, one sample at a time, as `evenflow step` does it.

const sigmoid = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const sech2 = (z) => { const small = Math.exp(-2 * Math.abs(z)); return (4 * small) / (1 + small) ** 2; };
const S = 1.0507009873554805, A = 1.6732632423543772;  // SELU's

const ACTIVATIONS = {
  identity: [(z) => z, () => 1],
  sigmoid: [sigmoid, (z) => sigmoid(z) * sigmoid(-z)],
  tanh: [Math.tanh, sech2],
  relu: [(z) => Math.max(z, 0), (z) => (z > 0 ? 1 : 0)],
  leaky_relu: [(z) => (z > 0 ? z : 0.01 * z), (z) => (z > 0 ? 1 : 0.01)],
  elu: [(z) => (z > 0 ? z : Math.expm1(z)), (z) => (z > 0 ? 1 : Math.exp(z))],
  selu: [(z) => S * (z > 0 ? z : A * Math.expm1(z)), (z) => S * (z > 0 ? 1 : A * Math.exp(z))],
  softplus: [softplus, sigmoid],
  softsign: [(z) => z / (1 + Math.abs(z)), (z) => 1 / (1 + Math.abs(z)) ** 2],
  hardtanh: [(z) => Math.min(Math.max(z, -1), 1), (z) => (Math.abs(z) < 1 ? 1 : 0)],
  silu: [(z) => z * sigmoid(z), (z) => sigmoid(z) * (1 + z * sigmoid(-z))],
  mish: [(z) => z * Math.tanh(softplus(z)), (z) => Math.tanh(softplus(z)) + z * sigmoid(z) * sech2(softplus(z))],
};
const FAMILIES = {
  sigmoid: (k) => [(z) => sigmoid(k * z), (z) => k * sigmoid(k * z) * sigmoid(-k * z)],
  leaky_relu: (k) => [(z) => (z > 0 ? z : k * z), (z) => (z > 0 ? 1 : k)],
  elu: (k) => [(z) => (z > 0 ? z : k * Math.expm1(z)), (z) => (z > 0 ? 1 : k * Math.exp(z))],
  swish: (k) => [(z) => z * sigmoid(k * z), (z) => sigmoid(k * z) * (1 + k * z * sigmoid(-k * z))],
};
FAMILIES.prelu = FAMILIES.leaky_relu;

// f and f' by a name, as "tanh" or "swish(beta=2)"; null where this page does not know it.
export function activation(name) {
  const [, head, inside] = name.match(/^(\w+)(?:\((?:\w+=)?([^)]*)\))?$/) || [];
  if (inside === undefined) return ACTIVATIONS[head] || null;
  return FAMILIES[head]?.(Number(inside)) || null;
}

const LOSSES = {
  squared: (y, t) => [y.reduce((sum, v, i) => sum + (v - t[i]) ** 2, 0) / 2, y.map((v, i) => v - t[i])],
  "squared-whole": (y, t) => [y.reduce((sum, v, i) => sum + (v - t[i]) ** 2, 0), y.map((v, i) => 2 * (v - t[i]))],
  "cross-entropy": (y, t) => {
    const most = Math.max(...y), sum = y.reduce((all, v) => all + Math.exp(v - most), 0);
    const p = y.map((v) => Math.exp(v - most) / sum);
    return [-t.reduce((all, v, i) => all + v * (y[i] - most - Math.log(sum)), 0), p.map((v, i) => v - t[i])];
  },
};

// All numbers of one update: z and a of each layer, E, the layer errors, gradients.
export function pass(layers, x, t, loss) {
  const z = [], a = [x];
  for (const layer of layers) {
    z.push(layer.W.map((row, i) => row.reduce((sum, w, j) => sum + w * a.at(-1)[j], layer.b[i])));
    a.push(z.at(-1).map(activation(layer.f)[0]));
  }
  const [error, slope] = LOSSES[loss](a.at(-1), t);
  const delta = new Array(layers.length);
  for (let k = layers.length - 1; k >= 0; k--) {
    const above = k === layers.length - 1 ? slope : z[k].map((_, j) => layers[k + 1].W.reduce((sum, row, i) => sum + row[j] * delta[k + 1][i], 0));
    delta[k] = above.map((v, i) => v * activation(layers[k].f)[1](z[k][i]));
  }
  const gradients = delta.map((d, k) => ({ W: d.map((e) => a[k].map((s) => e * s)), b: [...d] }));
  return { z, a, error, slope, delta, gradients };
}

// Δw = -η ∂E/∂w + α Δw_last: [the new layers, Δw].
export function updated(layers, gradients, last, eta, alpha) {
  const move = (g, d) => -eta * g + alpha * d;
  const moves = gradients.map((g, k) => ({
    W: g.W.map((row, i) => row.map((v, j) => move(v, last?.[k].W[i][j] ?? 0))),
    b: g.b.map((v, i) => move(v, last?.[k].b[i] ?? 0)),
  }));
  const made = layers.map((n, k) => ({ f: n.f, W: n.W.map((row, i) => row.map((w, j) => w + moves[k].W[i][j])), b: n.b.map((v, i) => v + moves[k].b[i]) }));
  return [made, moves];
}
