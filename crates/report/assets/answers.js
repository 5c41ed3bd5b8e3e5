// Held-out questions: the picture, what was asked, the right answer, and what the model said after
// each stage.
const answers = { page: null, filter: "", type: "", search: "", shown: [], chosen: 0 };

const isRight = (answer) => answer && answer.verdict === "right";
// What the last stage did to a question, seen from the stage before it.
const CHANGES = [
  ["", "all", () => true],
  ["better", "became right", (before, after) => !isRight(before) && isRight(after)],
  ["worse", "became wrong", (before, after) => isRight(before) && !isRight(after)],
  ["right", "right", (before, after) => isRight(after)],
  ["wrong", "wrong", (before, after) => after && !isRight(after)],
  ["ungraded", "not graded", (before, after) => after && after.verdict === "ungraded"],
];

// The question without the chat template around it.
function asked(prompt) {
  const user = (prompt || "").split("<|im_start|>user\n").at(-1).split("<|im_end|>")[0];
  return user.replace(/<\|[^|<>]{1,40}\|>/g, "").trim() || prompt || "";
}

function matches(item, filter) {
  const [before, after] = item.by.length > 1 ? item.by.slice(-2) : [null, item.by[0]];
  return CHANGES.find(([name]) => name === filter)[2](before, after);
}

function found(filter) {
  const words = answers.search.trim().toLowerCase();
  return answers.page.items.filter((item) => matches(item, filter) && (!answers.type || item.question_type === answers.type)
    && (!words || [item.id, asked(item.prompt), item.answer, ...item.by.map((by) => by && by.completion)].some((text) => (text || "").toLowerCase().includes(words))));
}

function drawAnswers() {
  const { page } = answers;
  const options = CHANGES.filter(([name]) => page.stages.length > 1 || !["better", "worse"].includes(name))
    .map(([name, label]) => [name, label, found(name).length]).filter(([name, , count]) => name !== "ungraded" || count);
  segments(byId("answers-filter"), options, answers.filter, (filter) => { answers.filter = filter; answers.chosen = 0; drawAnswers(); });
  answers.shown = found(answers.filter);
  const nodes = answers.shown.slice(0, 500).map((item, i) =>
    el("div", { class: "item", role: "option", "aria-selected": String(i === answers.chosen), on: { click: () => chooseAnswer(i) } },
      el("span", { class: "verdict " + (item.by.at(-1) || {}).verdict }), el("span", { class: "id" }, asked(item.prompt)),
      el("span", { class: "dots" }, ...item.by.map((by, k) => by && el("span", { class: "verdict " + by.verdict, title: `${page.stages[k]}: ${by.verdict}` })))));
  if (!nodes.length) nodes.push(el("div", { class: "empty" }, "No question matches."));
  if (answers.shown.length > nodes.length) nodes.push(el("div", { class: "empty" }, `and ${number(answers.shown.length - nodes.length)} more: filter them`));
  byId("answers-list").replaceChildren(...nodes);
  drawAnswer();
}

function chooseAnswer(i) {
  answers.chosen = Math.max(0, Math.min(answers.shown.length - 1, i));
  byId("answers-list").querySelectorAll(".item").forEach((node, k) => {
    node.setAttribute("aria-selected", String(k === answers.chosen));
    if (k === answers.chosen) node.scrollIntoView({ block: "nearest" });
  });
  drawAnswer();
}

// Why an answer has no score, in whatever form the record tells it.
function reasons(parts) {
  return (parts || []).map((part) => {
    const [name, value] = Array.isArray(part) ? part : [part.name, part];
    const reason = value && typeof value === "object" ? value.Err ?? value.reason : null;
    return reason ? `${name}: ${reason}` : null;
  }).filter(Boolean).join("; ");
}

function drawAnswer() {
  const detail = byId("answers-detail");
  const item = answers.shown[answers.chosen];
  if (!item) { detail.replaceChildren(el("div", { class: "empty" }, "Nothing to show.")); return; }
  const labels = Object.fromEntries(VERDICTS);
  const said = item.by.map((by, k) => by && el("div", { class: "stage-answer" },
    el("div", { class: "top" }, el("span", { class: "badge" }, el("span", { class: "verdict " + by.verdict }), `${answers.page.stages[k]}: ${labels[by.verdict]}`),
      el("div", { class: "meta" }, finite(by.score) && el("span", {}, "score ", el("b", {}, number(by.score))), el("span", {}, "tokens ", el("b", {}, number(by.tokens))), by.finish_reason === "length" && el("span", {}, el("b", {}, "cut off")))),
    el("div", { class: "tokens" }, by.completion || "(empty)"), reasons(by.parts) && el("p", { class: "why" }, reasons(by.parts)))).filter(Boolean).reverse();
  const shown = { pictures: (item.images || []).map((i) => (i === null ? null : answers.page.images[i])) };
  detail.replaceChildren(
    el("div", { class: "top" }, el("span", { class: "badge" }, item.id), el("div", { class: "meta" }, item.question_type && el("span", {}, "type ", el("b", {}, item.question_type)))),
    el("div", { class: "question" }, pictures(shown), el("div", {}, el("h3", { style: "margin-top:0" }, "Question"), promptView(asked(item.prompt)),
      item.answer !== null && item.answer !== undefined && el("div", {}, el("h3", {}, "Ground truth"), el("div", { class: "prose" }, item.answer)))),
    ...said);
}

function startAnswers(page) {
  if (!page || !page.items || !page.items.length) {
    document.querySelector('nav a[href="#answers"]').hidden = true;
    return;
  }
  answers.page = page;
  byId("answers").hidden = false;
  const { items, total } = page;
  if (total > items.length) byId("answers-note").textContent = `${number(items.length)} of ${number(total)}; all are in eval/*.jsonl`;
  const types = typesOf(items);
  byId("answers-type").replaceChildren(el("option", { value: "" }, "all"), ...types.map((type) => el("option", { value: type }, type)));
  byId("answers-type").onchange = (event) => { answers.type = event.target.value; answers.chosen = 0; drawAnswers(); };
  byId("answers-search").addEventListener("input", (event) => { answers.search = event.target.value; answers.chosen = 0; drawAnswers(); });
  byId("answers-list").addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    chooseAnswer(answers.chosen + move);
  });
  drawAnswers();
}
