/* Tables sort by a click on their headings; the value stands in data-v, empty cells go last. */
function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const value = row.cells[column].dataset.v;
      return value === undefined ? null : value === "inf" ? Infinity : Number(value);
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === null) - (b === null) || (a > b ? sign : a < b ? -sign : 0));
    body.append(...rows.map(([, row]) => row));
  }));
}

/* A link to a finding opens it. */
function unfold() {
  const target = location.hash.startsWith("#finding-") && document.querySelector(location.hash);
  if (target) target.querySelector("details").open = true;
}

document.querySelectorAll("table.sortable").forEach(sortable);
addEventListener("hashchange", unfold);
unfold();
