// The head of the page, the table of results and the recipe.
function drawFacts(summary, metrics) {
  const facts = [];
  const steps = summary.steps || metrics.step.at(-1);
  const seconds = summary.seconds || metrics.time.at(-1);
  if (steps) facts.push(["steps", number(steps)]);
  if (summary.tokens) facts.push(["tokens", compact(summary.tokens)]);
  if (seconds) facts.push(["time", duration(seconds)]);
  facts.push(...Object.entries(summary.facts || {}));
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("li", {}, name + " ", el("b", {}, value))));
  byId("notices").replaceChildren(...(data.notices || []).map((text) => el("p", { class: "notice" }, text)));
}

function meter(result) {
  const at = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const children = [el("i", { style: `width:${at(result.accuracy)}` })];
  if (finite(result.ci_low) && finite(result.ci_high)) {
    children.push(el("b", { style: `left:${at(result.ci_low)};width:calc(${at(result.ci_high)} - ${at(result.ci_low)})` }));
  }
  return el("div", { class: "meter" }, ...children);
}

function resultCell(result) {
  if (!result || !finite(result.accuracy)) return el("td", { class: "flat" }, "–");
  const interval = finite(result.ci_low) ? `${percent(result.ci_low)} – ${percent(result.ci_high)}` : "";
  return el("td", { title: `${result.n} graded answers` }, `${percent(result.accuracy)} %`, el("span", { class: "ci" }, interval), meter(result));
}

// The change is called one only when the two intervals do not touch.
function change(before, after) {
  if (!before || !after || !finite(before.accuracy) || !finite(after.accuracy)) return { text: "–", kind: "flat" };
  const points = 100 * (after.accuracy - before.accuracy);
  const text = `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`;
  const apart = after.ci_low > before.ci_high || after.ci_high < before.ci_low;
  return { text, kind: !apart ? "flat" : points > 0 ? "up" : "down" };
}

// Accuracy from stage to stage with its intervals.
function journey(stages) {
  const [width, height] = [250, 130];
  const x = (i) => 24 + (i * (width - 48)) / (stages.length - 1);
  const y = (value) => 104 - 92 * value;
  const known = stages.map((stage, i) => [stage, i]).filter(([stage]) => finite(stage.accuracy));
  const parts = [0, 0.5, 1].map((value) => el("line", { class: "gridline", x1: 0, x2: width, y1: y(value), y2: y(value) }));
  parts.push(el("path", { class: "smooth", d: known.map(([stage, i], k) => `${k ? "L" : "M"}${x(i)} ${y(stage.accuracy)}`).join("") }));
  for (const [stage, i] of known) {
    if (finite(stage.ci_low)) parts.push(el("path", { class: "whisker", d: `M${x(i)} ${y(stage.ci_low)}V${y(stage.ci_high)}` }));
    parts.push(el("circle", { class: "dot", r: 4, cx: x(i), cy: y(stage.accuracy) }));
    parts.push(el("text", { x: x(i), y: height - 8, "text-anchor": "middle" }, stage.name));
  }
  return el("svg", { class: "journey", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "accuracy by stage" }, ...parts);
}

function drawResults(summary) {
  const stages = summary.stages || [];
  if (!stages.length) {
    byId("results-body").replaceChildren(el("div", { class: "card empty" }, "No evaluation has been made yet."));
    return;
  }
  const first = stages[0], last = stages.at(-1);
  const types = [...new Set(stages.flatMap((stage) => Object.keys(stage.by_type || {})))].sort();
  const row = (kind, name, of) => {
    const delta = change(of(first), of(last));
    return el("tr", { class: kind }, el("th", { scope: "row" }, name), ...stages.map((stage) => resultCell(of(stage))),
      stages.length > 1 && el("td", { class: delta.kind, title: "in percentage points; coloured when the two intervals do not overlap" }, delta.text));
  };
  const minor = (name, of) => el("tr", { class: "minor" }, el("th", { scope: "row" }, name),
    ...stages.map((stage) => el("td", {}, of(stage))), stages.length > 1 && el("td", {}));
  const table = el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, "accuracy, 95 % interval"), ...stages.map((stage) => el("th", {}, stage.name)), stages.length > 1 && el("th", {}, "change"))),
    el("tbody", {}, row("overall", "all", (stage) => stage), ...types.map((type) => row("", type, (stage) => (stage.by_type || {})[type])),
      minor("graded answers", (stage) => number(stage.n)),
      minor("not gradable", (stage) => number(stage.ungraded)),
      minor("mean length, tokens", (stage) => number(stage.mean_length, 3)),
      minor("training time", (stage) => (stage.seconds ? duration(stage.seconds) : "–"))));
  const delta = change(first, last);
  const headline = el("div", { class: "card headline" },
    el("span", { class: "label" }, `accuracy after ${last.name}`),
    el("span", { class: "big" }, percent(last.accuracy), el("small", {}, "%")),
    stages.length > 1 && el("p", {}, el("span", { class: "delta " + delta.kind }, `${delta.text} points`), ` from ${percent(first.accuracy)} % (${first.name})`),
    el("p", {}, `95 % interval ${percent(last.ci_low)} – ${percent(last.ci_high)} %, n\u00a0=\u00a0${number(last.n)}`),
    stages.length > 1 && stages.length < 9 && journey(stages));
  byId("results-body").replaceChildren(el("div", { class: "results" }, headline, el("div", { class: "card table" }, table)));
}

function drawRecipe(text) {
  const body = byId("recipe-body");
  body.replaceChildren();
  const pattern = /(#[^\n]*)|("""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(^\s*\[[^\n#]*\])|(\b(?:true|false)\b|(?<![\w.-])[-+]?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?\b)/gm;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    body.append(text.slice(end, match.index), el("span", { class: match[1] ? "c" : match[2] ? "s" : match[3] ? "h" : "n" }, match[0]));
    end = match.index + match[0].length;
  }
  body.append(text.slice(end));
  byId("copy-recipe").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(text); byId("copy-recipe").textContent = "copied"; } catch { getSelection().selectAllChildren(body); }
  });
}
