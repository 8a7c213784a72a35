// CSV as RFC 4180 has it: fields with commas, quotes or line breaks stand in quotes, and a quote inside is doubled.
const csv = {
  field(value) {
    const text = String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  },

  line(values) {
    return values.map(csv.field).join(",") + "\n";
  },

  parse(text) {
    const rows = [];
    let row = [], field = "", quoted = false;
    const end = () => { row.push(field); field = ""; };
    const finish = () => { end(); if (row.length > 1 || row[0] !== "") rows.push(row); row = []; };
    const body = text.replace(/^\uFEFF/, "");
    for (let at = 0; at < body.length; at++) {
      const letter = body[at];
      if (quoted) {
        if (letter !== '"') field += letter;
        else if (body[at + 1] === '"') { field += '"'; at++; }
        else quoted = false;
      } else if (letter === '"') quoted = true;
      else if (letter === ",") end();
      else if (letter === "\n") finish();
      else if (letter !== "\r") field += letter;
    }
    if (field !== "" || row.length) finish();
    return rows;
  },
};
