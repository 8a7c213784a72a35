// Tables that sort by a click on a heading, and the transition matrix, whose cells say what they are.
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

function readMap(data) {
  const map = document.getElementById("heat-map"), cell = document.getElementById("heat-cell");
  const output = document.getElementById("cell"), count = Number(map.dataset.count);
  let width = 100;
  map.addEventListener("mousemove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    const given = Math.floor(point.x / 10), truth = Math.floor(point.y / 10);
    const inside = given >= 0 && truth >= 0 && given < count && truth < count;
    cell.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    cell.setAttribute("x", 10 * given);
    cell.setAttribute("y", 10 * truth);
    const found = data.cells[truth].find((entry) => entry[0] === given);
    const share = found ? `${(100 * found[1]).toFixed(1)}%` : "few or none";
    output.textContent = given === truth
      ? `${data.names[truth]} is labelled right: ${share}`
      : `${data.names[truth]} labelled ${data.names[given]}: ${share}`;
  });
  const zoom = (factor) => {
    width = Math.min(1600, Math.max(100, width * factor));
    map.style.width = `${width}%`;
  };
  document.getElementById("larger").addEventListener("click", () => zoom(1.5));
  document.getElementById("smaller").addEventListener("click", () => zoom(1 / 1.5));
}
