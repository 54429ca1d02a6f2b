// What the address says: "#/run/a/b?picture=delta" is the run a/b and how it is looked at.

export function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, ...rest] = path.split("/");
  return { kind, name: rest.map(decodeURIComponent).join("/"), state: new URLSearchParams(query) };
}

export function link(kind, name = "", state = {}) {
  const query = new URLSearchParams(Object.entries(state).filter(([, v]) => v !== "" && v !== null && v !== undefined));
  const path = [kind, ...name.split("/").filter(Boolean).map(encodeURIComponent)].filter(Boolean).join("/");
  return `#/${path}${query.size ? `?${query}` : ""}`;
}

// Change the address without another view: a reload, or who is given it, sees the same.
export function keep(changes) {
  const { kind, name, state } = read();
  history.replaceState(null, "", link(kind, name, { ...Object.fromEntries(state), ...changes }));
}

export function say(text) {
  document.getElementById("said").textContent = text;
}
