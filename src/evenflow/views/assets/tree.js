// Modules as folders: which rows a picture has when some are closed, and what each stands for.
// Rows stay in forward order, so a module whose parts are called between those of others has a
// folder for each stretch of its own.

// A row: {label, name, depth, positions: [in the picture], open: true/false, or null for a site},
// a site's with its id, a folder's with its path.
export class Tree {
  constructor(sites, ids) {
    Object.assign(this, { sites, ids, closed: new Set() });
    this.parts = ids.map((id) => [sites[id].root, ...sites[id].path.split(".")].filter(Boolean));
    this.top = this.grown(ids.map((_, position) => position), 0);
  }

  // Of neighbours that have so many parts of their path in common: sites, and folders of several.
  grown(positions, depth) {
    const out = [];
    for (let i = 0; i < positions.length;) {
      const mine = this.parts[positions[i]];
      let end = i + 1;
      if (mine.length > depth) {
        while (end < positions.length && this.parts[positions[end]][depth] === mine[depth]) end += 1;
      }
      const within = positions.slice(i, end);
      if (within.length === 1) out.push({ position: within[0], alone: mine.length > depth });
      else out.push({ path: mine.slice(0, depth + 1).join("."), name: mine[depth], positions: within, children: this.grown(within, depth + 1) });
      i = end;
    }
    return out;
  }

  // Paths of all that can be closed.
  folders() {
    const out = new Set();
    const walk = (nodes) => nodes.forEach((node) => {
      if (!node.children) return;
      out.add(node.path);
      walk(node.children);
    });
    walk(this.top);
    return [...out];
  }

  // Of a large network the deepest folders are closed until few rows are left.
  shut(most) {
    for (const path of this.folders().sort((a, b) => b.split(".").length - a.split(".").length)) {
      if (this.rows().length <= most) return;
      this.closed.add(path);
    }
  }

  // Visible rows, top to bottom in forward order.
  rows() {
    const out = [];
    const walk = (nodes, depth) => nodes.forEach((node) => {
      if (!node.children) {
        const id = this.ids[node.position], site = this.sites[id];
        out.push({ label: node.alone ? site.name : site.op, name: site.name, depth, id, positions: [node.position], open: null });
        return;
      }
      // a folder that is open has no picture of its own: its parts follow
      const open = !this.closed.has(node.path);
      out.push({ label: node.name, name: node.path, depth, path: node.path, positions: node.positions, open });
      if (open) walk(node.children, depth + 1);
    });
    walk(this.top, 0);
    return out;
  }
}
