for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const place = [...head.parentNode.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const text = (row) => row.children[place].textContent;
    const number = (row) => parseFloat(text(row));
    const order = (a, b) => head.classList.contains("n")
      ? (isNaN(number(a)) - isNaN(number(b))) || number(a) - number(b)
      : text(a).localeCompare(text(b));
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(a, b));
    body.append(...rows);
  });
}
