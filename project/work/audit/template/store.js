// The decisions: by key id, [row, given label, new label or "drop"]; kept in the browser under the audit's fingerprint.
const HEADER = ["row", "key_id", "given_label", "new_label"];

class Store {
  constructor(name, pictures, classes) {
    this.name = "audit-" + name;
    this.pictures = new Map(pictures.map((picture) => [picture[1], picture]));
    this.classes = classes;
    this.decisions = new Map();
    this.past = []; // for each step what it changed: [key id, what was decided before]
    this.keeps = true;
    this.load();
  }

  load() {
    try {
      const text = localStorage.getItem(this.name);
      if (text === null) return;
      const kept = JSON.parse(text);
      this.decisions = new Map(kept.decisions);
      this.past = kept.past;
    } catch {
      this.keeps = false;
    }
  }

  save() {
    try {
      localStorage.setItem(this.name, JSON.stringify({ decisions: [...this.decisions], past: this.past }));
      this.keeps = true;
    } catch {
      this.keeps = false;
    }
  }

  of(picture) {
    return this.decisions.get(picture[1])?.[2];
  }

  decide(picture, value) {
    this.change([[picture[1], [picture[0], picture[2], value]]]);
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
    const lines = [...this.decisions].map(([key, [row, given, value]]) => [row, key, given, value]);
    return csv.line(HEADER) + lines.sort((one, other) => one[0] - other[0]).map(csv.line).join("");
  }

  // Takes a file of corrections, whole or not at all; throws an Error that says what is wrong with it.
  read(text) {
    const [head = [], ...rows] = csv.parse(text);
    const at = HEADER.map((name) => head.indexOf(name));
    if (at.includes(-1)) throw new Error(`needs the columns ${HEADER.join(",")}`);
    const entries = rows.map((fields, number) => this.checked(at.map((place) => fields[place]), number + 2));
    if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Error("names a key id twice");
    if (entries.length === 0) throw new Error("holds no correction");
    this.change(entries);
    return entries.length;
  }

  checked([row, key, given, value], line) {
    const label = (text) => /^\d{1,9}$/.test(text ?? "") && Number(text) < this.classes;
    if (!/^\d+$/.test(row ?? "") || !key || !label(given) || !(value === "drop" || label(value)))
      throw new Error(`line ${line} is no correction of these ${this.classes} classes`);
    const picture = this.pictures.get(key);
    if (picture && picture[2] !== Number(given))
      throw new Error(`line ${line}: the label of ${key} is ${picture[2]} here, not ${given}; it is of other data`);
    return [key, [picture ? picture[0] : Number(row), Number(given), value === "drop" ? value : Number(value)]];
  }
}
