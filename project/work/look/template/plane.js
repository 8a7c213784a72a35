// The map: points that say what they are, and suspicious ones that lead to their review.
{
  const map = document.getElementById("plane"), told = document.getElementById("point");
  const box = document.getElementById("point-picture"), space = "http://www.w3.org/2000/svg";
  const onPage = new Map(data.pictures.map((picture, place) => [picture[0], place]));
  const radius = plane.points.length > 800 ? 6 : 9;
  map.append(...plane.points.map(([x, y, label, marked], number) => {
    const circle = document.createElementNS(space, "circle");
    for (const [name, value] of Object.entries({ cx: x, cy: y, r: marked ? radius + 2 : radius, fill: plane.tints[label] }))
      circle.setAttribute(name, value);
    if (marked) circle.setAttribute("class", "marked");
    circle.dataset.number = number;
    return circle;
  }));
  let last = null;
  const tell = (event) => {
    const circle = event.target.closest("circle");
    if (!circle || circle === last) return;
    last?.classList.remove("at");
    (last = circle).classList.add("at");
    const [, , label, marked, row, key] = plane.points[circle.dataset.number], place = onPage.get(row);
    told.textContent = `${data.names[label]}: ${key}` + (marked ? ", suspicious: click to review it" : "");
    box.replaceChildren(...(place === undefined ? [] : [draw(document.createElement("span"), "p", place, data)]));
  };
  map.addEventListener("mousemove", tell);
  map.addEventListener("click", (event) => {
    tell(event);
    const circle = event.target.closest("circle"), row = circle && plane.points[circle.dataset.number][4];
    if (circle && onPage.has(row)) { reveal(row); by("review").scrollIntoView(); }
  });
}
