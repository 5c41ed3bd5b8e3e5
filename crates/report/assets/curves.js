// Curves of metrics: one small chart each, grouped, with one cross-hair for all.
const GROUPS = [
  ["Preference", /^(rewards|logps|weights)\//],
  ["Reward and accuracy", /^(reward|eval|val|critic\/(score|rewards))\b|accuracy|pass@/],
  ["Loss", /(^|[/_])(loss|pg_loss|nll)\b/],
  ["Length", /length|clip_ratio|truncat/],
  ["Entropy, divergence, clipping", /entropy|kl|clipfrac|probs_diff|ratio|advantage|weight/],
  ["Optimiser", /grad|(^|\/)lr\b|learning_rate|update|skipped|nonfinite/],
  ["Throughput and time", /perf|timing|throughput|per_second|memory|tokens|seconds/],
];
const FEW = 24; // points that are drawn as dots and not smoothed: evaluations
const SCHEDULE = /(^|\/)lr\b|learning_rate/; // exact, so never smoothed
const curves = { smoothing: 0.6, axis: "step", charts: [], hover: null };

function groupOf(name) {
  const found = GROUPS.findIndex(([, pattern]) => pattern.test(name));
  return found < 0 ? GROUPS.length : found;
}

// Within a group: evaluations first, supervised training last; else as written.
const rank = (name) => (/^(eval|val)\b/.test(name) ? 0 : /^sft\b/.test(name) ? 2 : 1);

// Exponential moving average without the bias of its start, as TensorBoard smooths; a stage
// begins anew.
function smoothed(values, weight, stages) {
  let sum = 0, mass = 0;
  return values.map((value, i) => {
    if (i && stages[i] !== stages[i - 1]) sum = mass = 0;
    if (!finite(value)) return value;
    sum = weight * sum + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(Math.abs(value) < step * 1e-6 ? 0 : value);
  return found;
}

function makeChart(name, metrics, rows, values) {
  const readout = el("span", {});
  const svg = el("svg", { role: "img", "aria-label": name });
  const node = el("div", { class: "card chart" }, el("header", {}, el("b", { title: name }, name), readout), svg);
  const chart = { name, node, values, svg, readout, stages: rows.map((row) => metrics.stage[row]), steps: rows.map((row) => metrics.step[row]), times: rows.map((row) => metrics.time[row]) };
  svg.addEventListener("pointermove", (event) => {
    if (!chart.scale) return;
    const x = chart.scale.invert(event.clientX - svg.getBoundingClientRect().left);
    hoverAll(chart.steps[nearest(chart.xs, x)]);
  });
  svg.addEventListener("pointerleave", () => hoverAll(null));
  return chart;
}

function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}

function drawChart(chart) {
  const width = chart.svg.clientWidth || 340, height = 160;
  const box = { left: 46, right: width - 10, top: 10, bottom: height - 22 };
  const xs = (chart.xs = curves.axis === "time" ? chart.times : chart.steps);
  const shown = chart.values.filter(finite);
  const weight = shown.length > FEW && !SCHEDULE.test(chart.name) ? curves.smoothing : 0;
  const smooth = (chart.smooth = smoothed(chart.values, weight, chart.stages));
  let [low, high] = [Math.min(...shown), Math.max(...shown)];
  if (!shown.length) [low, high] = [0, 1];
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  [low, high] = [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
  const [x0, x1] = [xs[0], xs.at(-1) === xs[0] ? xs[0] + 1 : xs.at(-1)];
  const x = (value) => box.left + ((value - x0) / (x1 - x0)) * (box.right - box.left);
  const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
  chart.scale = { x, y, invert: (pixel) => x0 + ((pixel - box.left) / (box.right - box.left)) * (x1 - x0), box };

  const parts = [];
  for (const value of ticks(low, high, 4)) {
    parts.push(el("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }));
    parts.push(el("text", { x: box.left - 6, y: y(value) + 3.5, "text-anchor": "end" }, number(value, 3)));
  }
  const label = curves.axis === "time" ? (value) => duration(value).replace(/ min 0 s/, " min") : (value) => number(value);
  for (const value of ticks(x0, x1, curves.axis === "time" ? 3 : 5).filter((v) => curves.axis === "time" || Number.isInteger(v))) {
    const anchor = x(value) > box.right - 16 ? "end" : "middle";
    parts.push(el("text", { x: x(value), y: height - 6, "text-anchor": anchor }, label(value)));
  }
  chart.stages.forEach((stage, i) => {
    if (i && stage !== chart.stages[i - 1]) {
      const at = x((xs[i] + xs[i - 1]) / 2);
      parts.push(el("line", { class: "stage", x1: at, x2: at, y1: box.top, y2: box.bottom }), el("text", { x: at + 4, y: box.top + 8 }, stage));
    }
  });
  const path = (values) => values.map((value, i) => (finite(value) ? `${finite(values[i - 1]) ? "L" : "M"}${x(xs[i]).toFixed(1)} ${y(value).toFixed(1)}` : "")).join("");
  if (weight > 0) parts.push(el("path", { class: "raw", d: path(chart.values) }));
  parts.push(el("path", { class: "smooth", d: path(smooth) }));
  if (shown.length <= FEW) chart.values.forEach((value, i) => finite(value) && parts.push(el("circle", { class: "dot", r: 2.6, cx: x(xs[i]), cy: y(value) })));
  chart.values.forEach((value, i) => {
    if (finite(value)) return;
    const [cx, cy] = [x(xs[i]), box.top + 4];
    parts.push(el("path", { class: "bad", d: `M${cx - 3} ${cy - 3}l6 6m0 -6l-6 6` }, el("title", {}, `not finite at step ${chart.steps[i]}`)));
  });
  chart.cross = el("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
  chart.mark = el("circle", { class: "mark", r: 3.5, visibility: "hidden" });
  parts.push(chart.cross, chart.mark);
  chart.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.svg.replaceChildren(...parts);
  hover(chart, curves.hover);
}

function hover(chart, step) {
  const inside = step !== null && step >= chart.steps[0] && step <= chart.steps.at(-1);
  const i = inside ? nearest(chart.steps, step) : chart.values.length - 1;
  const value = chart.values[i], smooth = chart.smooth[i];
  // The number is the value that was measured; what is smoothed says so.
  chart.readout.replaceChildren(inside ? `step ${number(chart.steps[i])} · ` : "last ", el("strong", {}, finite(value) ? number(value) : "not finite"),
    finite(value) && smooth !== value ? ` · smoothed ${number(smooth, 3)}` : "");
  const visible = inside ? "visible" : "hidden";
  chart.cross.setAttribute("visibility", visible);
  chart.mark.setAttribute("visibility", inside && finite(value) ? "visible" : "hidden");
  if (!inside) return;
  const at = chart.scale.x(chart.xs[i]);
  chart.cross.setAttribute("x1", at);
  chart.cross.setAttribute("x2", at);
  if (finite(value)) { chart.mark.setAttribute("cx", at); chart.mark.setAttribute("cy", chart.scale.y(value)); }
}

function hoverAll(step) {
  curves.hover = step;
  curves.charts.forEach((chart) => hover(chart, step));
}

function drawCurves(metrics) {
  const body = byId("curves-body");
  const filter = byId("metric-filter").value.trim().toLowerCase();
  const names = Object.keys(metrics.values).filter((name) => name.toLowerCase().includes(filter));
  curves.charts = names.map((name) => makeChart(name, metrics, ...metrics.values[name]));
  const titles = [...GROUPS.map(([title]) => title), "Other"];
  const groups = titles.map((title, index) => {
    const charts = curves.charts.filter((chart) => groupOf(chart.name) === index).sort((a, b) => rank(a.name) - rank(b.name));
    return charts.length && [el("h3", {}, title), el("div", { class: "grid" }, ...charts.map((chart) => chart.node))];
  });
  const nodes = groups.filter(Boolean).flat();
  body.replaceChildren(...(nodes.length ? nodes : [el("div", { class: "card empty" }, filter ? "No metric has this in its name." : "No metrics have been written yet.")]));
  redrawCurves();
}

function redrawCurves() {
  byId("smoothing-value").textContent = curves.smoothing.toFixed(2);
  segments(byId("x-axis"), [["step", "step"], ["time", "time"]], curves.axis, (axis) => { curves.axis = axis; remember("axis", axis); redrawCurves(); });
  curves.charts.forEach(drawChart);
}

function startCurves(metrics) {
  curves.smoothing = Number(remembered("smoothing", 0.6));
  curves.axis = remembered("axis", "step") === "time" ? "time" : "step";
  byId("smoothing").value = curves.smoothing;
  byId("smoothing").addEventListener("input", (event) => {
    curves.smoothing = Number(event.target.value);
    remember("smoothing", curves.smoothing);
    redrawCurves();
  });
  byId("metric-filter").addEventListener("input", () => drawCurves(data.metrics));
  drawCurves(metrics);
  let width = byId("curves-body").clientWidth;
  new ResizeObserver(() => {
    if (byId("curves-body").clientWidth === width) return;
    width = byId("curves-body").clientWidth;
    redrawCurves();
  }).observe(byId("curves-body"));
}
