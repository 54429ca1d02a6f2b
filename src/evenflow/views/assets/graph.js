// The network as boxes and lines: modules that are closed are one box, all else a box an operation.

// Nodes by row: {key, row, ids, depth, from: [keys], to: [keys]}; edges: {from, to, pairs}.
export function graphOf(sites, rows, ids) {
  const nodes = new Map(), at = new Map(), edges = new Map();
  for (const row of rows) {
    if (row.open === true) continue;
    const key = row.open === null ? `s${row.id}` : row.path;
    nodes.set(key, { key, row, ids: row.positions.map((p) => ids[p]), depth: 0, from: [], to: [] });
    for (const position of row.positions) at.set(ids[position], key);
  }
  // a call again of the same module is where its first call is
  const first = new Map();
  for (const site of sites) {
    const name = `${site.root}/${site.path}/${site.op}/${site.index ?? 0}`;
    if (site.call === 0 && at.has(site.id)) first.set(name, at.get(site.id));
    else if (site.call > 0 && first.has(name)) at.set(site.id, first.get(name));
  }
  for (const site of sites) {
    for (const input of site.inputs) {
      const [a, b] = [at.get(input), at.get(site.id)];
      if (a === undefined || b === undefined || a === b) continue;
      const key = `${a}\n${b}`;
      if (!edges.has(key)) {
        edges.set(key, { from: a, to: b, pairs: [] });
        nodes.get(a).to.push(b);
        nodes.get(b).from.push(a);
      }
      edges.get(key).pairs.push([site.id, input]);
    }
  }
  deepen(nodes);
  return { nodes, edges: [...edges.values()] };
}

// Depth: one more than the deepest of what it reads. Closed modules may read each other: a way that
// comes back to where it began is left.
function deepen(nodes) {
  const known = new Map(), open = new Set();
  for (const start of nodes.keys()) {
    const stack = [start];
    while (stack.length) {
      const key = stack.at(-1), node = nodes.get(key);
      if (known.has(key)) { stack.pop(); continue; }
      open.add(key);
      const wait = node.from.filter((k) => !known.has(k) && !open.has(k));
      if (wait.length) { stack.push(...wait); continue; }
      known.set(key, node.from.reduce((most, k) => Math.max(most, (known.get(k) ?? -1) + 1), 0));
      open.delete(key);
      stack.pop();
    }
  }
  for (const [key, depth] of known) nodes.get(key).depth = depth;
}

// Of what is broken (NaN, infinite): where it began. Forward a box none of whose inputs is broken,
// backward one none of whose readers is.
export function origins(nodes, broken, backward) {
  return new Set([...nodes.values()].filter((n) => broken.has(n.key) && !n[backward ? "to" : "from"].some((k) => broken.has(k))).map((n) => n.key));
}
