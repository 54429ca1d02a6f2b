// Modules as folders: which rows a picture has when some are closed, and what each stands for.

// A row: {label, depth, path, sites: [positions in the picture], open: true/false/null for a site}
export class Tree {
  constructor(sites, ids) {
    this.closed = new Set();
    this.root = { path: "", name: "", children: new Map(), leaves: [] };
    ids.forEach((id, position) => {
      const site = sites[id];
      const parts = [site.root, ...site.path.split(".")].filter(Boolean);
      let node = this.root;
      for (const part of parts) {
        const path = node.path ? `${node.path}.${part}` : part;
        if (!node.children.has(part)) node.children.set(part, { path, name: part, children: new Map(), leaves: [], order: position });
        node = node.children.get(part);
      }
      node.leaves.push({ id, position });
    });
    this.sites = sites;
  }

  // All sites of a node, in order.
  positions(node) {
    const out = node.leaves.map((leaf) => leaf.position);
    for (const child of node.children.values()) out.push(...this.positions(child));
    return out.sort((a, b) => a - b);
  }

  folders() {
    const out = [];
    const walk = (node) => {
      for (const child of node.children.values()) {
        if (this.positions(child).length > 1) out.push(child.path);
        walk(child);
      }
    };
    walk(this.root);
    return out;
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
    const walk = (node, depth) => {
      const entries = [
        ...node.leaves.map((leaf) => ({ at: leaf.position, leaf })),
        ...[...node.children.values()].map((child) => ({ at: child.order, child })),
      ].sort((a, b) => a.at - b.at);
      for (const { leaf, child } of entries) {
        if (leaf) {
          out.push({ label: this.sites[leaf.id].op, name: this.sites[leaf.id].name, depth, id: leaf.id, positions: [leaf.position], open: null });
          continue;
        }
        const positions = this.positions(child);
        if (positions.length === 1) {
          const only = this.find(positions[0]);
          out.push({ label: this.sites[only].name, name: this.sites[only].name, depth, id: only, positions, open: null });
        } else if (this.closed.has(child.path)) {
          out.push({ label: child.name, name: child.path, depth, path: child.path, positions, open: false });
        } else {
          // a folder that is open has no picture of its own: its parts follow
          out.push({ label: child.name, name: child.path, depth, path: child.path, positions, open: true });
          walk(child, depth + 1);
        }
      }
    };
    walk(this.root, 0);
    return out;
  }

  find(position) {
    let found = null;
    const walk = (node) => {
      for (const leaf of node.leaves) if (leaf.position === position) found = leaf.id;
      for (const child of node.children.values()) walk(child);
    };
    walk(this.root);
    return found;
  }
}
