// The review: what the buttons and keys do.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const store = new Store(data.fingerprint, data.pictures, data.names, data.earlier);
const gallery = new Gallery(data, store, (place) => show(place));
const picker = new Picker(data.names, (label) => decide(label));
const current = () => data.pictures[gallery.at];

function usual(box, label) {
  const places = data.examples[label] ?? [];
  box.replaceChildren(...places.map((place) => draw(document.createElement("span"), "e", place, data)));
  box.title = `what ${data.names[label]} usually looks like`;
}

function go(place) {
  if (place === null || !data.pictures.length) return;
  gallery.go(place);
  showCurrent();
}

// Goes to a picture and to where it is shown large, which is above the gallery where the screen is narrow.
function show(place) {
  go(place);
  if (by("panel").getBoundingClientRect().top < 0) by("panel").scrollIntoView();
}

function showCurrent() {
  const [, key, given, suggested, , votes, rank, kinds] = current();
  draw(by("large"), "p", gallery.at, data);
  by("large").setAttribute("aria-label", `picture ${key}, label ${data.names[given]}`);
  by("place").textContent = `rank ${rank.toLocaleString("en")}, key ${key}` + (kinds & 2 ? ", blank" : "") + (kinds & 4 ? ", a copy" : "");
  const original = store.original(current());
  by("given").textContent = data.names[given] + (original === given ? "" : ` (corrected, was ${data.names[original]})`);
  by("suggested").textContent = suggested === given ? "the same" : data.names[suggested];
  usual(by("given-usual"), given);
  usual(by("suggested-usual"), suggested);
  const disagree = votes === null ? "" : `, ${votes} ${votes === 1 ? "model votes" : "models vote"} against it`;
  by("scores").textContent = `predicted probability of this label: ${probability(current())}${disagree}`;
  if (data.links) by("original").href = data.links[gallery.at];
  const [kind, words] = gallery.said(current());
  const when = store.isEarlier(current()) ? ", decided before this audit" : "";
  by("decision").textContent = kind === "" ? "not reviewed" : words + when;
  showProgress();
}

function showProgress() {
  const values = data.pictures.map((picture) => [picture, store.of(picture)]).filter(([, value]) => value !== undefined);
  const dropped = values.filter(([, value]) => value === "drop").length;
  const kept = values.filter(([picture, value]) => value === store.original(picture)).length;
  const elsewhere = store.all().size - values.length;
  by("progress").max = Math.max(1, data.pictures.length);
  by("progress").value = values.length;
  by("status").textContent = `${values.length} of ${data.pictures.length} reviewed: ${kept} kept, `
    + `${values.length - kept - dropped} relabelled, ${dropped} dropped`
    + (elsewhere ? `; ${elsewhere} of other pictures` : "");
  by("undo").disabled = store.past.length === 0;
  by("count").textContent = `${gallery.shown} shown`;
  if (!store.keeps) by("problem").textContent = "This browser keeps nothing for this page: export before you close it.";
}

function decide(value) {
  if (!data.pictures.length) return;
  const place = gallery.at, following = gallery.next(1);
  store.decide(current(), value);
  by("problem").textContent = "";
  gallery.refreshTile(place);
  following === null ? showCurrent() : go(following);
}

function undo() {
  const key = store.undo();
  if (key === null) return;
  gallery.refresh();
  const place = data.pictures.findIndex((picture) => picture[1] === key);
  place >= 0 ? go(place) : showCurrent();
}

function filter() {
  gallery.show = by("show").value;
  gallery.label = by("class").value === "" ? null : Number(by("class").value);
  gallery.refresh();
  const first = gallery.visible(gallery.at) ? gallery.at : gallery.next(1) ?? gallery.next(-1);
  first === null ? showProgress() : go(first);
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([store.text()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function read(file) {
  try {
    const count = store.read(await file.text());
    by("problem").textContent = "";
    gallery.refresh();
    showCurrent();
    by("status").textContent += `; ${count} came from ${file.name}`;
  } catch (error) {
    by("problem").textContent = `${file.name}: ${error.message}. Nothing was taken from it.`;
  }
}

function invert(on) {
  by("invert").checked = on;
  document.body.classList.toggle("flip", on);
}

function reveal(row) {
  const place = data.pictures.findIndex((picture) => picture[0] === row);
  if (place < 0) return;
  by("show").value = "all";
  by("class").value = "";
  filter();
  go(place);
}

const ACTIONS = {
  keep: () => decide(current()[2]), take: () => decide(current()[3]), other: () => picker.open(),
  drop: () => decide("drop"), undo, previous: () => go(gallery.next(-1)), next: () => go(gallery.next(1)),
  "first-open": () => go(gallery.next(1, true) ?? gallery.next(-1, true)), export: save, import: () => by("file").click(),
};
const KEYS = { k: "keep", s: "take", l: "other", d: "drop", u: "undo", n: "first-open", ArrowLeft: "previous", ArrowRight: "next" };

for (const [id, action] of Object.entries(ACTIONS)) by(id).addEventListener("click", action);
by("file").addEventListener("change", async (event) => {
  if (event.target.files.length) await read(event.target.files[0]);
  event.target.value = "";
});
for (const id of ["show", "class"]) by(id).addEventListener("change", filter);
by("invert").addEventListener("change", (event) => invert(event.target.checked));
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input:not([type=checkbox]), select, dialog, #map");
  const letter = event.key.length === 1;
  if (writing || event.ctrlKey || event.metaKey || event.altKey || (letter && !by("keys").checked)) return;
  const key = letter ? event.key.toLowerCase() : event.key;
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (step !== undefined) go(gallery.line(step));
  else if (key === "i") invert(!by("invert").checked);
  else if (key in KEYS) ACTIONS[KEYS[key]]();
  else return;
  event.preventDefault();
});
// What another window of this page decides, or a write from before a reload that arrives late.
addEventListener("storage", () => {
  if (!store.load()) return;
  gallery.refresh();
  if (data.pictures.length) showCurrent();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("button.link");
  if (!link) return;
  if (link.dataset.row !== undefined) reveal(Number(link.dataset.row));
  else {
    by("class").value = link.dataset.class;
    by("show").value = "all";
    filter();
  }
  by("review").scrollIntoView();
});

const given = [...new Set(data.pictures.map((picture) => picture[2]))].sort((one, other) => one - other);
by("class").append(...given.map((label) => new Option(data.names[label], label)));
invert(document.body.classList.contains("white-ink"));
readMap(data);
go(Math.max(0, data.pictures.findIndex((picture) => store.of(picture) === undefined)));
