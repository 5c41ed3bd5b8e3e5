// The browser of preference pairs: what a step of a preference stage saw. Sources answer queries as those of rollouts do.
const pairs = { step: null, margin: "", signal: "log_ratio", items: [], total: 0, chosen: 0, ticket: 0, source: null };

const isNegative = (item) => finite(item.margin) && item.margin < 0;

const withPairImages = (page) => page.items.map((item) => ({
  ...item, responses: item.responses.map((response) => ({ ...response, pictures: response.images.map((i) => (i === null ? null : page.images[i])) })),
}));

function embeddedPairs(page) {
  const all = withPairImages(page).sort((a, b) => b.step - a.step || a.pair - b.pair);
  const steps = [...new Set(all.map((item) => item.step))];
  return {
    async query({ step, margin }) {
      const chosen = step === null ? "all" : step;
      const stepped = all.filter((item) => chosen === "all" || item.step === Number(chosen));
      const items = stepped.filter((item) => !margin || isNegative(item));
      return { steps: ["all", ...steps], step: chosen, counts: { all: stepped.length, negative: stepped.filter(isNegative).length }, items, total: items.length };
    },
  };
}

function servedPairs() {
  return {
    async query({ step, margin, offset = 0 }) {
      const query = new URLSearchParams({ offset, limit: PAGE });
      if (step !== null) query.set("step", step);
      if (margin) query.set("margin", margin);
      const answer = await fetch(`/api/pairs?${query}`);
      const page = await answer.json();
      if (!answer.ok) throw new Error(page.error || answer.statusText);
      return { ...page, items: withPairImages(page) };
    },
  };
}

async function loadPairs(more = false) {
  const ticket = ++pairs.ticket;
  let page;
  try {
    page = await pairs.source.query({ ...pairs, offset: more ? pairs.items.length : 0 });
  } catch (error) {
    byId("pairs-list").replaceChildren(el("div", { class: "empty" }, `Cannot load pairs: ${error.message}`));
    return;
  }
  if (ticket !== pairs.ticket) return; // a later choice was made meanwhile
  pairs.step = page.step;
  pairs.items = more ? [...pairs.items, ...page.items] : page.items;
  pairs.total = page.total;
  if (!more) pairs.chosen = 0;
  const change = (what) => { Object.assign(pairs, what); loadPairs(); };
  byId("pairs-step").replaceChildren(...page.steps.map((step) => el("option", { value: step, selected: String(step) === String(page.step) }, String(step))));
  byId("pairs-step").onchange = (event) => change({ step: event.target.value });
  segments(byId("pairs-filter"), [["", "all", page.counts.all], ["negative", "margin < 0", page.counts.negative]], pairs.margin, (margin) => change({ margin }));
  drawPairList();
  drawPair();
}

function drawPairList() {
  const nodes = pairs.items.map((item, i) => {
    const chosen = item.responses.find((response) => response.kind === "chosen");
    const verdict = !finite(item.margin) ? "ungraded" : item.margin < 0 ? "wrong" : "right";
    return el("div", { class: "item", role: "option", "data-i": i, "aria-selected": String(i === pairs.chosen), title: item.id, on: { click: () => choosePair(i) } },
      el("span", { class: "verdict " + verdict }), el("span", { class: "id" }, asked(item.prompt)),
      el("span", { class: "reward", title: "margin" }, finite(item.margin) ? number(item.margin, 3) : "–"),
      el("span", { class: "said" }, lastLine(chosen && chosen.completion)));
  });
  if (!nodes.length) nodes.push(el("div", { class: "empty" }, "No pairs match."));
  if (pairs.items.length < pairs.total) nodes.push(el("button", { type: "button", on: { click: () => loadPairs(true) } }, `more (${pairs.items.length} of ${pairs.total})`));
  byId("pairs-list").replaceChildren(...nodes);
}

function choosePair(i) {
  pairs.chosen = Math.max(0, Math.min(pairs.items.length - 1, i));
  for (const node of byId("pairs-list").querySelectorAll(".item")) {
    const chosen = Number(node.dataset.i) === pairs.chosen;
    node.setAttribute("aria-selected", String(chosen));
    if (chosen) node.scrollIntoView({ block: "nearest" });
  }
  drawPair();
}

// One response: the pictures that it was read with, its numbers, its tokens.
function side(response, signal, scale) {
  const preferred = finite(response.margin) && response.margin < 0;
  const title = response.kind.replace("_rejected_image", " answer, rejected picture").replace("_no_image", " answer, no picture").replaceAll("_", " ") + (response.number ? ` ${response.number + 1}` : "");
  const numbers = [["reward", response.reward], ["margin", response.margin], ["weight", response.weight]].filter(([, value]) => finite(value));
  const shown = response.pictures.map((source, i) => source ? picture(source, `${response.rejected_images ? "rejected " : ""}picture ${i + 1}`)
    : el("div", { class: "missing" }, "This picture is too large for the report; `percept view` shows it."));
  const tokens = response.token_text.length && signal && response[signal].length ? legend(signal, scale) : null;
  return el("section", { class: "side" + (response.kind === "chosen" ? " chosen" : "") + (preferred ? " preferred" : ""), style: "margin:0" },
    el("div", { class: "badge" }, title + (preferred ? ": preferred to the chosen one" : "")),
    el("div", { class: "meta" }, ...numbers.map(([name, value]) => el("span", {}, name + " ", el("b", {}, number(value))))),
    shown.length ? el("div", { class: "images" }, ...shown) : null,
    tokenView(response, signal, scale), tokens);
}

function drawPair() {
  const detail = byId("pairs-detail");
  const item = pairs.items[pairs.chosen];
  byId("tip").hidden = true;
  if (!item) { detail.replaceChildren(el("div", { class: "empty" }, "Nothing to show.")); return; }
  const all = pairs.items.flatMap((other) => other.responses);
  const available = ["log_ratio", "log_probs"].filter((name) => all.some((response) => response[name].length));
  const signal = available.includes(pairs.signal) ? pairs.signal : available[0];
  const scale = signal && scaleOf(signal, all);
  const colours = el("div", { class: "segments", role: "group", "aria-label": "Colour of tokens" });
  segments(colours, available.map((name) => [name, SIGNALS[name].label]), signal, (name) => { pairs.signal = name; remember("pair-signal", name); drawPair(); });
  const meta = [["step", item.step], ["row", item.id], ["loss", finite(item.loss) ? number(item.loss) : null], ["smallest margin", finite(item.margin) ? number(item.margin) : null]];
  detail.replaceChildren(
    el("div", { class: "top" }, el("div", { class: "meta" }, ...meta.filter(([, value]) => value !== null).map(([name, value]) => el("span", {}, name + " ", el("b", {}, String(value))))), available.length ? colours : null),
    el("h3", {}, "Prompt"), promptView(item.prompt),
    el("div", { class: "sides" }, ...item.responses.map((response) => side(response, signal, scale))));
}

// A run of preference stages alone has no rollouts to show.
function hideRollouts() {
  const some = data.live ? data.rollout_steps.length : data.rollouts.items.length;
  byId("rollouts").hidden = byId("rollouts-link").hidden = !some && !byId("pairs").hidden;
}

// New steps of a run that goes on can be chosen; what is shown stays.
function followPairs() {
  hideRollouts();
  if (!data.pair_steps.length) return;
  if (byId("pairs").hidden) startPairs();
  else offerSteps("pairs-step", data.pair_steps);
}

function startPairs() {
  const some = data.live ? data.pair_steps.length : data.pairs.items.length;
  byId("pairs").hidden = byId("pairs-link").hidden = !some;
  hideRollouts();
  if (!some) return;
  pairs.signal = remembered("pair-signal", "log_ratio");
  pairs.source = data.live ? servedPairs() : embeddedPairs(data.pairs);
  const steps = new Set(data.pairs.items.map((item) => item.step)).size;
  if (!data.live && data.pairs.steps_total) byId("pairs-note").textContent = `the first of ${number(steps)} of ${number(data.pairs.steps_total)} steps; \`percept view\` shows all`;
  byId("pairs-list").addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    choosePair(pairs.chosen + move);
  });
  loadPairs();
}
