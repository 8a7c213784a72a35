// Tables that sort by a click on a heading.
function sortBy(table, column) {
  const head = table.tHead.rows[0].cells[column], body = table.tBodies[0];
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const numbers = [...body.rows].every((row) => row.cells[column].dataset.value !== undefined);
  const before = head.getAttribute("aria-sort");
  const down = before === null ? numbers : before === "ascending"; // the largest number, but the first name, on top
  const order = (one, other) => numbers ? value(one) - value(other) : value(one).localeCompare(value(other));
  const rows = [...body.rows].sort((one, other) => (down ? -1 : 1) * order(one, other));
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable"))
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (head) sortBy(table, head.cellIndex);
  });
