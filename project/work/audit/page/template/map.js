// The noise transition matrix, whose cells say what they are, and whose names are all shown where there is room.
function readMap(data) {
  const map = document.getElementById("heat-map"), cell = document.getElementById("heat-cell");
  const output = document.getElementById("cell"), count = Number(map.dataset.count);
  const whole = Number(map.dataset.whole), natural = Number(map.dataset.width), readable = 9; // pixels of a cell
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
  const name = () => map.classList.toggle("zoomed", map.clientWidth / whole * 10 >= readable);
  const show = (width, most) => {
    map.style.width = `${width}px`;
    map.style.maxWidth = most;
    name();
    const box = map.parentElement, scale = map.clientWidth / whole;
    const before = Math.max(0, (whole - 10 * count) * scale - 200); // of the margin, which is made for large names
    if (box.scrollLeft === 0 && box.scrollTop === 0) box.scrollTo(before, before);
  };
  const zoom = (factor) => {
    const now = map.clientWidth, least = readable * whole / 10 + 1, width = now * factor; // least: all names are readable
    if (factor > 1) show(Math.min(2 * natural, Math.max(width, least)), "none");
    else if (now >= least && width < least) show(natural, ""); // as it was at first
    else show(Math.max(200, width), "none");
  };
  document.getElementById("larger").addEventListener("click", () => zoom(1.5));
  document.getElementById("smaller").addEventListener("click", () => zoom(1 / 1.5));
  addEventListener("resize", name);
  name();
}
