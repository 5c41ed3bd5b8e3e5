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

// Percentage points with their sign.
function points(value) {
  const size = 100 * value;
  return `${size < 0 ? "−" : "+"}${Math.abs(size).toFixed(1)}`;
}

// A change counts when its interval does not contain zero. The interval is that of the paired
// difference where the run has one, else the change counts when the two intervals do not touch.
function change(paired, before, after) {
  if (paired && finite(paired.mean)) {
    const sure = paired.ci_low > 0 || paired.ci_high < 0;
    return { text: points(paired.mean), interval: `${points(paired.ci_low)} to ${points(paired.ci_high)}`, kind: !sure ? "flat" : paired.mean > 0 ? "up" : "down" };
  }
  if (!before || !after || !finite(before.accuracy) || !finite(after.accuracy)) return { text: "–", kind: "flat" };
  const apart = after.ci_low > before.ci_high || after.ci_high < before.ci_low;
  const difference = after.accuracy - before.accuracy;
  return { text: points(difference), kind: !apart ? "flat" : difference > 0 ? "up" : "down" };
}

const isEnd = (stage) => !stage.name.includes("-step-");

// What the last stage did to the one before it: the question that a run answers.
function lastStep(summary) {
  const ends = (summary.stages || []).filter(isEnd);
  if (ends.length < 2) return null;
  const [before, after] = ends.slice(-2);
  const paired = (summary.changes || []).find((c) => c.from === before.name && c.to === after.name);
  return { before, after, paired };
}

function changeLine(summary, before, after) {
  const paired = (summary.changes || []).find((c) => c.from === before.name && c.to === after.name);
  const found = change(paired, before, after);
  const moved = paired && `${number(paired.better)} questions better, ${number(paired.worse)} worse`;
  return el("li", {}, el("span", { class: "delta " + found.kind }, el("b", {}, found.text), `points, ${after.name} over ${before.name}`),
    found.interval ? el("small", {}, `95 % of the paired difference ${found.interval}; ${moved}`) : el("small", {}, "not paired: coloured when the two intervals do not touch"));
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
  const last = stages.filter(isEnd).at(-1) || stages.at(-1);
  const types = [...new Set(stages.flatMap((stage) => Object.keys(stage.by_type || {})))].sort();
  const step = lastStep(summary);
  const row = (kind, name, of, paired) => {
    const delta = step && change(paired, of(step.before), of(step.after));
    return el("tr", { class: kind }, el("th", { scope: "row" }, name), ...stages.map((stage) => resultCell(of(stage))),
      step && el("td", { class: delta.kind, title: "percentage points; coloured when the 95 % interval does not contain 0" }, delta.text, delta.interval && el("span", { class: "ci" }, delta.interval)));
  };
  const ofType = (type) => {
    const found = step && step.paired && (step.paired.by_type || {})[type];
    return found && { mean: found.accuracy, ci_low: found.ci_low, ci_high: found.ci_high };
  };
  const minor = (name, of) => el("tr", { class: "minor" }, el("th", { scope: "row" }, name),
    ...stages.map((stage) => el("td", {}, of(stage))), step && el("td", {}));
  const table = el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, "accuracy, 95 % interval"), ...stages.map((stage) => el("th", {}, stage.name)), step && el("th", {}, `${step.after.name} over ${step.before.name}`))),
    el("tbody", {}, row("overall", "all", (stage) => stage, step && step.paired), ...types.map((type) => row("", type, (stage) => (stage.by_type || {})[type], ofType(type))),
      minor("graded answers", (stage) => number(stage.n)),
      minor("not gradable", (stage) => number(stage.ungraded)),
      minor("mean length, tokens", (stage) => number(stage.mean_length, 3)),
      minor("training time", (stage) => (stage.seconds ? duration(stage.seconds) : "–"))));
  const ends = stages.filter(isEnd);
  const headline = el("div", { class: "card headline" },
    el("span", { class: "label" }, `accuracy after ${last.name}`),
    el("span", { class: "big" }, percent(last.accuracy), el("small", {}, "%")),
    el("p", {}, `95 % interval ${percent(last.ci_low)} – ${percent(last.ci_high)} %, n\u00a0=\u00a0${number(last.n)}`),
    ends.length > 1 && el("p", {}, ends.map((stage) => `${stage.name} ${percent(stage.accuracy)}`).join(" → ") + " %"),
    ends.length > 1 && el("ul", { class: "changes" }, ...ends.slice(1).map((stage, i) => changeLine(summary, ends[i], stage)).reverse()),
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
