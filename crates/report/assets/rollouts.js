// The browser of rollouts. A source answers queries: the embedded sample of a report, or the
// server of `percept view`, which has them all.
const VERDICTS = [["right", "right"], ["partial", "partial"], ["wrong", "wrong"], ["ungraded", "not graded"]];
const PAGE = 100;
const browser = { step: null, type: "", verdict: "", signal: "log_probs", items: [], total: 0, chosen: 0, ticket: 0 };

const withImages = (page) => page.items.map((item) => ({ ...item, pictures: (item.images || []).map((i) => (i === null ? null : page.images[i])) }));

function embeddedSource(page) {
  const all = withImages(page).sort((a, b) => b.step - a.step); // newest first, groups as stored
  const steps = [...new Set(all.map((item) => item.step))];
  return {
    async query({ step, type, verdict }) {
      const chosen = step === null ? "all" : step;
      const stepped = all.filter((item) => chosen === "all" || item.step === Number(chosen));
      const typed = stepped.filter((item) => !type || item.question_type === type);
      const counts = Object.fromEntries(VERDICTS.map(([name]) => [name, typed.filter((item) => item.verdict === name).length]));
      const items = typed.filter((item) => !verdict || item.verdict === verdict);
      return { steps: ["all", ...steps], step: chosen, types: typesOf(stepped), counts, items, total: items.length };
    },
  };
}

const typesOf = (items) => [...new Set(items.map((item) => item.question_type).filter(Boolean))].sort();

function serverSource() {
  return {
    async query({ step, type, verdict, offset = 0 }) {
      const query = new URLSearchParams({ offset, limit: PAGE });
      if (step !== null) query.set("step", step);
      if (type) query.set("question_type", type);
      if (verdict) query.set("verdict", verdict);
      const answer = await fetch(`/api/rollouts?${query}`);
      const page = await answer.json();
      if (!answer.ok) throw new Error(page.error || answer.statusText);
      return { ...page, items: withImages(page) };
    },
  };
}

async function loadRollouts(source, more = false) {
  const ticket = ++browser.ticket;
  const list = byId("rollout-list");
  let page;
  try {
    page = await source.query({ ...browser, offset: more ? browser.items.length : 0 });
  } catch (error) {
    list.replaceChildren(el("div", { class: "empty" }, `Cannot load rollouts: ${error.message}`));
    return;
  }
  if (ticket !== browser.ticket) return; // a later choice was made meanwhile
  browser.step = page.step;
  browser.items = more ? [...browser.items, ...page.items] : page.items;
  browser.total = page.total;
  if (!more) browser.chosen = 0;
  drawFilters(source, page);
  drawList(source);
  drawDetail();
}

function drawFilters(source, page) {
  const change = (what) => { Object.assign(browser, what); loadRollouts(source); };
  const options = (values, chosen) => values.map(([value, label]) => el("option", { value, selected: String(value) === String(chosen) }, label));
  byId("filter-step").replaceChildren(...options(page.steps.map((step) => [step, String(step)]), page.step));
  byId("filter-step").onchange = (event) => change({ step: event.target.value });
  byId("filter-type").replaceChildren(...options([["", "all"], ...page.types.map((type) => [type, type])], browser.type));
  byId("filter-type").onchange = (event) => change({ type: event.target.value });
  const all = VERDICTS.reduce((sum, [name]) => sum + (page.counts[name] || 0), 0);
  const shown = VERDICTS.filter(([name]) => page.counts[name] || name === "right" || name === "wrong");
  segments(byId("filter-verdict"), [["", "all", all], ...shown.map(([name, label]) => [name, label, page.counts[name] || 0])], browser.verdict, (verdict) => change({ verdict }));
}

// New steps of a run that goes on can be chosen; what is shown stays.
function offerSteps(id, steps) {
  const select = byId(id);
  const known = new Set([...select.options].map((option) => option.value));
  for (const step of steps) if (!known.has(String(step))) select.append(el("option", { value: step }, String(step)));
}

function lastLine(text) {
  const lines = (text || "").split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.at(-1) || "(empty)";
}

const groupKey = (item) => `${item.step}/${item.prompt_id}`;

function drawList(source) {
  const nodes = [];
  browser.items.forEach((item, i) => {
    if (!i || groupKey(item) !== groupKey(browser.items[i - 1])) {
      const title = `step ${item.step} · ${item.prompt_id}`;
      nodes.push(el("div", { class: "group", title }, title));
    }
    nodes.push(el("div", { class: "item", role: "option", "data-i": i, "aria-selected": String(i === browser.chosen), on: { click: () => choose(i) } },
      el("span", { class: "verdict " + item.verdict, title: item.verdict }),
      el("span", { class: "id" }, `#${item.sample}  ${lastLine(item.completion)}`),
      el("span", { class: "reward" }, finite(item.reward) ? number(item.reward, 3) : "–")));
  });
  if (!browser.items.length) nodes.push(el("div", { class: "empty" }, data.live ? "No rollouts match." : "No rollouts match, or none were stored."));
  if (browser.items.length < browser.total) nodes.push(el("button", { type: "button", on: { click: () => loadRollouts(source, true) } }, `more (${browser.items.length} of ${browser.total})`));
  byId("rollout-list").replaceChildren(...nodes);
}

function choose(i) {
  browser.chosen = Math.max(0, Math.min(browser.items.length - 1, i));
  for (const node of byId("rollout-list").querySelectorAll(".item")) {
    const chosen = Number(node.dataset.i) === browser.chosen;
    node.setAttribute("aria-selected", String(chosen));
    if (chosen) node.scrollIntoView({ block: "nearest" });
  }
  drawDetail();
}

// Runs of one special token (image placeholders) are shown once, with their number.
function promptView(text) {
  const view = el("div", { class: "prose" });
  const pattern = /(<\|[^|<>]{1,40}\|>)(\1*)/g;
  let end = 0;
  for (const match of (text || "").matchAll(pattern)) {
    const times = 1 + match[2].length / match[1].length;
    view.append(text.slice(end, match.index), el("span", { class: "special" }, match[1] + (times > 1 ? ` ×${times} ` : "")));
    end = match.index + match[0].length;
  }
  view.append((text || "").slice(end));
  return view;
}

function partsTable(item) {
  const rows = (item.reward_parts || []).map((part) => el("tr", {}, el("td", {}, part.name),
    el("td", {}, part.value === null ? "not graded" : number(part.value)), el("td", { class: "why" }, part.reason || "")));
  rows.push(el("tr", { class: "overall" }, el("td", {}, "total"), el("td", {}, finite(item.reward) ? number(item.reward) : "not graded"),
    el("td", { class: "why" }, finite(item.advantage) ? `advantage ${number(item.advantage)}` : "not used for training")));
  return el("table", { class: "parts" }, el("tbody", {}, ...rows));
}

// In its own proportions; one of a few pixels is drawn larger, by a whole factor, with its pixels kept.
function picture(source, alt) {
  const image = el("img", { src: source, alt });
  image.addEventListener("load", () => {
    const factor = Math.min(Math.floor(320 / image.naturalWidth), Math.floor(260 / image.naturalHeight), 4);
    if (factor < 2) return;
    image.style.width = `${image.naturalWidth * factor}px`;
    image.style.imageRendering = "pixelated";
  });
  return image;
}

function pictures(item) {
  const nodes = item.pictures.map((source, i) => source ? picture(source, `image ${i + 1} of the prompt`)
    : el("div", { class: "missing" }, "This image is too large for the report; `percept view` shows it."));
  return nodes.length ? el("div", { class: "images" }, ...nodes) : null;
}

function drawDetail() {
  const detail = byId("rollout-detail");
  const item = browser.items[browser.chosen];
  byId("tip").hidden = true;
  if (!item) { detail.replaceChildren(el("div", { class: "empty" }, "Nothing to show.")); return; }
  const label = Object.fromEntries(VERDICTS)[item.verdict];
  const meta = [["step", item.step], ["sample", `#${item.sample}`], ["by", item.is_expert ? "an expert" : null], ["type", item.question_type], ["tokens", item.tokens.length || item.token_text.length], ["finish", item.finish_reason], ["weights", `v${item.weight_version}`]];
  const group = browser.items.map((other, i) => [other, i]).filter(([other]) => groupKey(other) === groupKey(item));
  const siblings = group.length > 1 && el("div", { class: "siblings", title: "the samples of this prompt" }, ...group.map(([other, i]) =>
    el("button", { type: "button", "aria-pressed": String(i === browser.chosen), on: { click: () => choose(i) } }, el("span", { class: "verdict " + other.verdict }), String(other.sample))));
  const available = Object.keys(SIGNALS).filter((name) => browser.items.some((other) => other[name] && other[name].length));
  const signal = available.includes(browser.signal) ? browser.signal : available[0];
  const scale = signal && scaleOf(signal, browser.items);
  const colours = el("div", { class: "segments", role: "group", "aria-label": "Colour of tokens" });
  segments(colours, available.map((name) => [name, SIGNALS[name].label]), signal, (name) => { browser.signal = name; remember("signal", name); drawDetail(); });
  detail.replaceChildren(
    el("div", { class: "top" }, el("span", { class: "badge" }, el("span", { class: "verdict " + item.verdict }), label), siblings,
      el("div", { class: "meta" }, ...meta.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => el("span", {}, name + " ", el("b", {}, String(value)))))),
    el("div", { class: "question" }, pictures(item), el("div", {}, el("h3", { style: "margin-top:0" }, "Prompt"), promptView(item.prompt),
      item.answer !== null && item.answer !== undefined && el("div", {}, el("h3", {}, "Ground truth"), el("div", { class: "prose" }, item.answer)))),
    el("div", { class: "head", style: "margin:18px 0 8px" }, el("h3", { style: "margin:0" }, "Completion"),
      available.length ? el("div", { class: "tools" }, legend(signal, scale), colours) : null),
    tokenView(item, signal, scale),
    el("h3", {}, "Reward"), partsTable(item));
}

function startRollouts() {
  browser.signal = remembered("signal", "log_probs");
  const source = data.live ? serverSource() : embeddedSource(data.rollouts);
  const shown = data.rollouts.items.length, total = data.rollouts.total;
  if (!data.live && total > shown) byId("rollouts-note").textContent = `${number(shown)} of ${number(total)}; \`percept view\` shows all`;
  byId("rollout-list").addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    choose(browser.chosen + move);
  });
  loadRollouts(source);
}
