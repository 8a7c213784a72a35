// The decisions: by key id, [row, label in the data, new label or "drop"]. Those from before the audit are on the page;
// new ones go before them and are kept in the browser under the audit's fingerprint.
const HEADER = ["row", "key_id", "given_label", "new_label"];

class Store {
  constructor(name, pictures, classes, earlier) {
    this.name = "audit-" + name;
    this.pictures = new Map(pictures.map((picture) => [picture[1], picture]));
    this.classes = classes;
    this.earlier = new Map(earlier.map(([row, key, given, value]) => [key, [row, given, value]]));
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
    const lines = [...this.all()].map(([key, [row, given, value]]) => [row, key, given, value]);
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
    const known = picture ? [picture[0], this.original(picture)] : this.earlier.get(key) ?? [Number(row), Number(given)];
    if (known[1] !== Number(given))
      throw new Error(`line ${line}: the label of ${key} is ${known[1]} here, not ${given}; it is of other data`);
    return [key, [known[0], known[1], value === "drop" ? value : Number(value)]];
  }
}
