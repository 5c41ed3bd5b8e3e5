// Tables sort by a column when its head is pressed, by pointer or keyboard: down, up, as written.
for (const table of document.querySelectorAll(".page table")) {
  const body = table.tBodies[0];
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (!body || body.rows.length < 2) continue;
  const written = [...body.rows];
  const text = (row, column) => (row.cells[column] ? row.cells[column].textContent.trim() : "");
  const number = (value) => parseFloat(value.replace(/[,\u202f]/g, "").replace("\u2212", "-"));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = { none: "descending", descending: "ascending", ascending: "none" }[head.ariaSort || "none"];
      heads.forEach((other) => (other.ariaSort = "none"));
      head.ariaSort = order;
      // Numbers by value, unless a cell is none; those come last, and so does what was not measured.
      const values = new Map(written.map((row) => [row, text(row, column)]));
      const filled = [...values.values()].filter((value) => value && value !== "–");
      const numeric = filled.every((value) => !Number.isNaN(number(value)));
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const [x, y] = [values.get(a), values.get(b)];
        if (!numeric) return sign * x.localeCompare(y);
        const [m, n] = [number(x), number(y)];
        if (Number.isNaN(m) || Number.isNaN(n)) return Number.isNaN(m) - Number.isNaN(n);
        return sign * (m - n);
      };
      body.append(...(order === "none" ? written : [...written].sort(compare)));
    });
  });
}
