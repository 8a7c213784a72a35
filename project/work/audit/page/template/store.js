// The decisions: by key id, [row, label in the data, new label or "drop"]. Decisions from before the audit are on the
// page; new ones replace them. The browser keeps new ones under the audit's fingerprint, in two places: in localStorage,
// which another process writes, so a page that is reloaded at once may still read the old state; and in the window's
// name, which is lost with the window. The later of both states counts.
const HEADER = ["row", "key_id", "given_label", "new_label"], NAMES = ["given_name", "new_name"]; // names are for a person

// Whether two names are one; a spreadsheet makes 4 of 004.
const alike = (one, other) => one.trim() === other.trim() || Number(one) === Number(other);

class Store {
  constructor(name, pictures, names, earlier) {
    this.name = "audit-" + name;
    this.pictures = new Map(pictures.map((picture) => [picture[1], picture]));
    this.names = names;
    this.earlier = new Map(earlier.map(([row, key, given, value]) => [key, [row, given, value]]));
    this.decisions = new Map();
    this.past = []; // for each step what it changed: [key id, what was decided before]
    this.steps = 0; // decided or undone so far: of two states the one with more is the later
    this.keeps = true;
    this.load();
  }

  // Takes the latest state that is kept, if it is later than this one; says whether it was.
  load() {
    const before = this.steps;
    this.take(window.name);
    try {
      this.take(localStorage.getItem(this.name));
    } catch {
      this.keeps = false;
    }
    return this.steps > before;
  }

  take(text) {
    let kept = null;
    try {
      kept = JSON.parse(text);
    } catch {
      return; // a window's name that is somebody else's
    }
    if (!Array.isArray(kept?.decisions) || !Array.isArray(kept.past) || (kept.name ?? this.name) !== this.name) return;
    const steps = kept.steps ?? kept.past.length;
    if (steps <= this.steps) return;
    [this.decisions, this.past, this.steps] = [new Map(kept.decisions), kept.past, steps];
  }

  save() {
    this.steps++;
    const { name, steps, past } = this;
    const text = JSON.stringify({ name, steps, decisions: [...this.decisions], past });
    window.name = text;
    try {
      localStorage.setItem(this.name, text);
      this.keeps = true;
    } catch {
      this.keeps = false;
    }
  }

  of(picture) {
    return (this.decisions.get(picture[1]) ?? this.earlier.get(picture[1]))?.[2];
  }

  // A picture's label in the data, which corrections may have changed before the audit.
  original(picture) {
    return this.earlier.get(picture[1])?.[1] ?? picture[2];
  }

  isEarlier(picture) {
    return this.earlier.has(picture[1]) && !this.decisions.has(picture[1]);
  }

  all() {
    return new Map([...this.earlier, ...this.decisions]);
  }

  decide(picture, value) {
    this.change([[picture[1], [picture[0], this.original(picture), value]]]);
  }

  change(entries) {
    this.past.push(entries.map(([key]) => [key, this.decisions.get(key) ?? null]));
    for (const [key, entry] of entries) this.decisions.set(key, entry);
    this.save();
  }

  undo() {
    const step = this.past.pop();
    if (step === undefined) return null;
    for (const [key, before] of step) before === null ? this.decisions.delete(key) : this.decisions.set(key, before);
    this.save();
    return step[0][0];
  }

  text() {
    const named = (value) => (value === "drop" ? "" : this.names[value]);
    const lines = [...this.all()].map(([key, [row, given, value]]) => [row, key, given, value, named(given), named(value)]);
    return csv.line([...HEADER, ...NAMES]) + lines.sort((one, other) => one[0] - other[0]).map(csv.line).join("");
  }

  // Takes a file of corrections, whole or not at all; throws an Error that says what is wrong with it.
  read(text) {
    const [head = [], ...rows] = csv.parse(text);
    const at = [...HEADER, ...NAMES].map((name) => head.indexOf(name));
    if (at.slice(0, HEADER.length).includes(-1)) throw new Error(`needs the columns ${HEADER.join(",")}`);
    const entries = rows.map((fields, number) => this.checked(at.map((place) => fields[place]), number + 2));
    if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Error("names a key id twice");
    if (entries.length === 0) throw new Error("holds no correction");
    this.change(entries);
    return entries.length;
  }

  checked([row, key, given, value, givenName, newName], line) {
    const label = (text) => /^\d{1,9}$/.test(text ?? "") && Number(text) < this.names.length;
    if (!/^\d+$/.test(row ?? "") || !key || !label(given) || !(value === "drop" || label(value)))
      throw new Error(`line ${line} is no correction of these ${this.names.length} classes`);
    for (const [text, name] of [[given, givenName], [value, newName]])
      if (name && text !== "drop" && !alike(name, this.names[text]))
        throw new Error(`line ${line}: ${text} is not ${name} here: correct the number, or leave the name empty`);
    const picture = this.pictures.get(key);
    const known = picture ? [picture[0], this.original(picture)] : this.earlier.get(key) ?? [Number(row), Number(given)];
    if (known[1] !== Number(given))
      throw new Error(`line ${line}: the label of ${key} is ${known[1]} here, not ${given}; it is of other data`);
    return [key, [known[0], known[1], value === "drop" ? value : Number(value)]];
  }
}
