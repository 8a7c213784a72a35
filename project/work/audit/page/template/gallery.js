// The pictures as tiles: each a button; one of them is the current one.
const KINDS = { blank: 2, copy: 4 };

// Shows one of the pictures of a sheet in an element. kind: "p" for suspects, "e" for examples.
function draw(element, kind, place, data) {
  const sheet = Math.floor(place / data.capacity), rest = place % data.capacity;
  const rows = (kind === "p" ? data.sheetRows : data.exampleRows)[sheet];
  const share = (at, count) => (count > 1 ? (100 * at) / (count - 1) : 0) + "%";
  element.className = `picture ${kind}${sheet}`;
  element.style.backgroundSize = `${100 * data.columns}% ${100 * rows}%`;
  const column = rest % data.columns, row = Math.floor(rest / data.columns);
  element.style.backgroundPosition = `${share(column, data.columns)} ${share(row, rows)}`;
  return element;
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

// The probability that models which did not learn from a picture give to its label.
function probability(picture) {
  return picture[4] < 0.0005 ? "under 0.1%" : (100 * picture[4]).toFixed(picture[4] < 0.1 ? 1 : 0) + "%";
}

class Gallery {
  constructor(data, store, chosen) {
    this.data = data;
    this.store = store;
    this.at = 0;
    this.show = "all";
    this.label = null;
    this.box = document.getElementById("gallery");
    this.tiles = data.pictures.map((picture, place) => this.tile(picture, place));
    this.box.replaceChildren(...this.tiles);
    this.box.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) chosen(Number(tile.dataset.place));
    });
    this.refresh();
  }

  tile(picture, place) {
    const tile = element("button", "tile", "");
    tile.dataset.place = place;
    tile.tabIndex = -1;
    tile.append(draw(document.createElement("span"), "p", place, this.data));
    tile.append(element("span", "was", this.data.names[picture[2]]), element("span", "mark", ""));
    tile.append(element("span", "score", probability(picture)));
    return tile;
  }

  // What a decision on a picture is called: its kind, and in words.
  said(picture) {
    const value = this.store.of(picture), original = this.store.original(picture), names = this.data.names;
    if (value === undefined) return ["", picture[3] === picture[2] ? "" : `${names[picture[3]]}?`];
    if (value === "drop") return ["drop", "✗ dropped"];
    const kind = value === original ? "keep" : "change";
    if (value !== picture[2]) return [kind, `→ ${names[value]}`];
    return [kind, value === original ? "✓ kept" : `✓ ${names[value]}, was ${names[original]}`];
  }

  visible(place) {
    const picture = this.data.pictures[place], decided = this.store.of(picture) !== undefined;
    if (this.label !== null && picture[2] !== this.label) return false;
    if (this.show in KINDS) return (picture[7] & KINDS[this.show]) !== 0;
    return this.show === "all" || decided === (this.show === "done");
  }

  refresh() {
    this.data.pictures.forEach((picture, place) => this.refreshTile(place));
  }

  refreshTile(place) {
    const picture = this.data.pictures[place], tile = this.tiles[place], [kind, words] = this.said(picture);
    tile.hidden = !this.visible(place);
    tile.dataset.decision = kind;
    tile.querySelector(".mark").textContent = words;
    const state = kind === "" ? (words ? `suggested ${words.slice(0, -1)}, not reviewed` : "not reviewed") : words;
    tile.setAttribute("aria-label", `rank ${picture[6]}, label ${this.data.names[picture[2]]}, its predicted probability ${probability(picture)}, ${state}`);
  }

  // The next place in a direction that is shown (and not reviewed, if so wanted), or null.
  next(step, open = false) {
    for (let place = this.at + step; place >= 0 && place < this.tiles.length; place += step)
      if (this.visible(place) && !(open && this.store.of(this.data.pictures[place]) !== undefined)) return place;
    return null;
  }

  // The place in the same column of the line above (-1) or below (1), or null.
  line(step) {
    const here = this.tiles[this.at];
    for (let place = this.next(step); place !== null; place = this.after(place, step)) {
      const tile = this.tiles[place];
      if (tile.offsetTop !== here.offsetTop && tile.offsetLeft === here.offsetLeft) return place;
    }
    return null;
  }

  after(place, step) {
    do place += step; while (place >= 0 && place < this.tiles.length && !this.visible(place));
    return place >= 0 && place < this.tiles.length ? place : null;
  }

  go(place) {
    const before = this.tiles[this.at];
    before.removeAttribute("aria-current");
    before.tabIndex = -1;
    this.at = place;
    const tile = this.tiles[place];
    tile.setAttribute("aria-current", "true");
    tile.tabIndex = 0;
    this.reveal(tile);
    const active = document.activeElement;
    if (active === document.body || active === before) tile.focus({ preventScroll: true });
  }

  // Scrolls the gallery, and never the page: a person looks at the picture above it.
  reveal(tile) {
    const box = this.box.getBoundingClientRect(), at = tile.getBoundingClientRect(), edge = 12;
    if (at.top < box.top + edge) this.box.scrollTop += at.top - box.top - edge;
    else if (at.bottom > box.bottom - edge) this.box.scrollTop += at.bottom - box.bottom + edge;
  }

  get shown() {
    return this.tiles.filter((tile) => !tile.hidden).length;
  }
}
