/** Light and dark, data sets, sorting. */
function paint(theme) {
  document.documentElement.dataset.theme = theme;
}

paint(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
byId("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const value = (row) => {
    const cell = row.cells[column];
    return column === 0 ? cell.textContent.trim() : cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
  };
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (typeof a === "string") return sign * a.localeCompare(b);
    // What has no value stands last either way.
    return Number.isNaN(a) || Number.isNaN(b) ? Number.isNaN(a) - Number.isNaN(b) : sign * (a - b);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll(".sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const other = { ascending: "descending", descending: "ascending" };
      const direction = now ? other[now] : button.dataset.first;
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction);
      sortBy(table, column, direction);
    });
  });
}

for (const key of document.querySelectorAll(".key[data-method]")) {
  const method = Number(key.dataset.method);
  key.textContent = String(method + 1);
  key.setAttribute("style", colour(method));
}

function openSet(number) {
  for (const part of document.querySelectorAll(".set")) part.hidden = part.dataset.set !== String(number);
  for (const pill of document.querySelectorAll(".pill")) pill.setAttribute("aria-pressed", String(pill.dataset.set === String(number)));
  drawCharts(content.sets[number]);
  drawLegend(content.sets[number]);
  openViewer(number);
}

for (const pill of document.querySelectorAll(".pill")) pill.addEventListener("click", () => openSet(Number(pill.dataset.set)));
openSet(0);
