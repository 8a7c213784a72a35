// A dialog to pick one of many labels: type a part of the name, choose with the arrow keys, take with Enter.
class Picker {
  constructor(names, taken) {
    this.names = names;
    this.taken = taken;
    this.dialog = document.getElementById("picker");
    this.search = document.getElementById("search");
    this.list = document.getElementById("options");
    this.search.addEventListener("input", () => this.fill());
    this.search.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("li");
      if (option) this.take(option);
    });
  }

  open() {
    this.search.value = "";
    this.fill();
    this.dialog.showModal();
    this.search.focus();
  }

  // Names that begin with what was typed come before those that contain it.
  fill() {
    const wanted = this.search.value.trim().toLowerCase();
    const found = this.names
      .map((name, label) => [name.toLowerCase().indexOf(wanted), label])
      .filter(([at]) => at >= 0)
      .sort((one, other) => (one[0] > 0) - (other[0] > 0) || one[1] - other[1]);
    this.list.replaceChildren(...found.map(([, label]) => this.option(label)));
    this.select(this.list.firstElementChild);
  }

  option(label) {
    const item = document.createElement("li");
    item.id = `option-${label}`;
    item.setAttribute("role", "option");
    item.dataset.label = label;
    item.textContent = this.names[label];
    return item;
  }

  select(item) {
    this.list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    this.search.setAttribute("aria-activedescendant", item?.id ?? "");
    item?.setAttribute("aria-selected", "true");
    item?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const now = this.list.querySelector("[aria-selected=true]");
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step) {
      event.preventDefault();
      if (now?.[step]) this.select(now[step]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (now) this.take(now);
    }
  }

  take(item) {
    this.dialog.close();
    this.taken(Number(item.dataset.label));
  }
}
