"use strict";
// How far the project is, and how far annotators agree.

const digits = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

function table(parent, caption, head, rows) {
  const made = document.createElement("table");
  made.createCaption().textContent = caption;
  const line = (cells, name) => {
    const row = made.insertRow();
    for (const cell of cells) {
      const one = document.createElement(name);
      if (cell instanceof Node) one.append(cell);
      else one.textContent = cell;
      row.append(one);
    }
  };
  line(head, "th");
  rows.forEach((cells) => line(cells, "td"));
  parent.append(made);
}

/** A row for every two annotators, and one for all. */
function kappaRows(what, kappas) {
  const two = kappas.cohen.map((c) => [what, `${c.a} and ${c.b}`, "Cohen", c.items, digits(c.observed), digits(c.kappa)]);
  const all = kappas.fleiss;
  if (all) two.push([what, `${all.raters} raters`, "Fleiss", all.items, "", digits(all.kappa)]);
  return two;
}

/** Draws the page; `release(pair, annotator)` takes an open pair back. */
function showStatus(parent, said, release) {
  const { status, open } = said;
  parent.replaceChildren();
  const counts = (c) => [c.open, c.submitted, c.returned, c.accepted, c.corrected];
  const names = Object.entries(status.annotators);
  table(parent, `${status.pairs} pairs, ${status.wanted} wanted pieces of work`,
    ["annotator", "open", "submitted", "returned", "accepted", "of these corrected"],
    [...names.map(([name, c]) => [name, ...counts(c)]), ["all", ...counts(status.all)]]);
  const agreement = status.agreement;
  const labels = Object.entries(agreement.labels).flatMap(([label, kappas]) => kappaRows(label, kappas));
  table(parent, `Agreement on ${agreement.pairs} pairs that several annotators submitted, before any review`,
    ["question", "between", "kappa", "items", "equal", "value"],
    [...kappaRows("preference", agreement.preference), ...kappaRows("distorted or not", agreement.distorted), ...labels]);
  table(parent, "Boxes", ["between", "frames", "mean IoU", "F1 at IoU 0.5"],
    agreement.boxes.map(([a, b, boxes]) => [`${a} and ${b}`, boxes.frames, digits(boxes.mean_iou), digits(boxes.f1_at_half)]));
  table(parent, "Pairs in the making", ["pair", "annotator", ""], open.map(({ pair, annotator }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "take back";
    button.addEventListener("click", () => release(pair, annotator));
    return [pair, annotator, button];
  }));
}
