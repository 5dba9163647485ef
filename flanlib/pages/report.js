const number = (text) => text.trim() !== "" && !isNaN(text);

function parse(text) {  // RFC 4180
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "") break;
    if (end !== ",") rows.push([]);
  }
  if (rows.at(-1).join("") === "") rows.pop();
  return rows;
}

function element(name, content, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...[content].flat());
  return made;
}

function build(rows) {
  const [head, ...body] = rows;
  const numeric = head.map((_, i) => body.some((row) => row[i]) && body.every((row) => !row[i] || number(row[i])));
  const kind = (i) => ({ className: numeric[i] ? "n" : "" });
  const shown = (cell, i) => numeric[i] && cell.includes(".") ? Number(cell).toFixed(2) : cell;
  const top = head.map((name, i) => element("th", element("button", name, { type: "button" }), { scope: "col", ...kind(i) }));
  const lines = body.map((row) => element("tr", row.map((cell, i) => element("td", shown(cell, i), kind(i)))));
  const table = element("table", [element("thead", element("tr", top)), element("tbody", lines)]);
  return element("div", table, { className: "scroll", tabIndex: 0 });
}

function sort(button) {
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const place = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const text = (row) => row.children[place].textContent;
  const value = (row) => parseFloat(text(row));
  const order = (a, b) => head.classList.contains("n")
    ? (isNaN(value(a)) - isNaN(value(b))) || value(a) - value(b)
    : text(a).localeCompare(text(b));
  body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * order(a, b)));
}

function download(text, name) {
  const link = element("a", "", { download: `${name}.csv`, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const source = (id) => document.getElementById(id);
const text = (id) => JSON.parse(source(id).textContent);
const quoted = (cell) => /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
const written = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => quoted(cell.textContent)).join(",") + "\n").join("");

document.addEventListener("click", (event) => {
  const button = event.target.closest("thead button"), link = event.target.closest("a.csv");
  if (button) sort(button);
  if (!link) return;
  event.preventDefault();
  const { from, table } = link.dataset;
  if (from) download(text(from), source(from).dataset.name);
  else download(written(document.querySelector(`table[data-name="${table}"]`)), table);
});
for (const details of document.querySelectorAll("details.table")) {
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector("table")) details.append(build(parse(text(details.dataset.from))));
  });
}
for (const table of document.querySelectorAll("table[data-name]")) {
  const link = element("a", "Save as CSV", { className: "csv", href: "#" });
  link.dataset.table = table.dataset.name;
  table.closest(".scroll").after(element("p", link, { className: "links" }));
}
const contents = document.querySelector("nav details");
if (contents) {
  const narrow = matchMedia("(max-width: 70rem)");
  const fit = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fit);
  fit();
  contents.addEventListener("click", (event) => { if (narrow.matches && event.target.closest("a")) contents.open = false; });
}
const speed = document.getElementById("speed");
if (speed) new PerformanceObserver((seen) => {
  const [paint] = seen.getEntriesByName("first-contentful-paint");
  if (paint) speed.textContent = ` This browser first painted it after ${(paint.startTime / 1000).toFixed(2)} s.`;
}).observe({ type: "paint", buffered: true });
