// What the address says: "#/run/a/b?picture=delta" is the run a/b and how it is looked at.

export function read() {
  // in a report "#finding-1" is a place in its text
  const [path, query = ""] = location.hash.startsWith("#/") ? location.hash.slice(2).split("?") : [""];
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
  if (location.protocol === "blob:" || location.href.startsWith("about:")) return;  // shown in a frame
  history.replaceState(null, "", link(kind, name, { ...Object.fromEntries(state), ...changes }));
}

export function say(text) {
  const said = document.getElementById("said");
  if (said) said.textContent = text;
}
