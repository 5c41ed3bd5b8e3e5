"use strict";
// The page: who is here, which pair is shown, keys and buttons. `location.hash` says the mode and the name.

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const EDITABLE = { annotate: ["open", "returned"], review: ["submitted"] };

const page = { mode: "", name: "", labels: [], label: "", side: "A", item: null, selected: null, past: [], visited: [], nudge: null, turn: 0 };
let queue = null;
const views = {};

function message(text) {
  $("message").textContent = text;
}

/** Asks until there is an answer; null when the page has turned to something else meanwhile, or is refused. */
async function ask(url, body) {
  const turn = page.turn;
  for (let wait = 250; turn === page.turn; wait = Math.min(2 * wait, 4000)) {
    try {
      const said = await request(url, body);
      message("");
      return turn === page.turn ? said : null;
    } catch (error) {
      message(error.status ? error.message : `The server does not answer (${error.message}); trying again.`);
      if (error.status && error.status < 500) return null;
      await pause(wait);
    }
  }
  return null;
}

const editable = () => page.item && EDITABLE[page.mode].includes(page.item.work.state.is);
const boxOf = (key) => page.item.work.boxes.find((box) => box.key === key);

/** Does something: shown at once, sent at once. */
function act(change) {
  if (!page.item) return;
  settle();
  message("");
  if (change.kind === "undo") {
    const before = page.past.pop();
    if (before) page.item.work = before;
  } else {
    page.past.push(page.item.work);
    page.item.work = changed(page.item.work, change);
  }
  const { pair, annotator } = page.item;
  queue.add({ id: randomId(), by: page.name, pair, annotator, do: change });
  draw();
}

function edit(change) {
  if (editable()) act(change);
  else if (page.item) message(`This pair is ${page.item.work.state.is}: undo first (Z).`);
}

/** Ends a move by keys: many presses are one action. */
function settle() {
  const nudge = page.nudge;
  page.nudge = null;
  if (nudge) act({ kind: "move_box", key: nudge.key, box: nudge.box });
}

function draw() {
  const item = page.item;
  const { work } = item;
  if (page.selected && !boxOf(page.selected)) page.selected = null;
  for (const side of ["A", "B"]) {
    const boxes = work.boxes.filter((box) => box.side === side);
    const nudged = boxes.map((box) => (page.nudge && page.nudge.key === box.key ? { ...box, box: page.nudge.box } : box));
    views[side].draw(nudged, page.selected, page.labels);
    const lower = side.toLowerCase();
    $(`side-${lower}`).classList.toggle("active", page.side === side);
    const chips = work.labels.filter(([at]) => at === side).map(([, label]) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = `${label} ×`;
      chip.title = "remove this label of the whole frame";
      chip.addEventListener("click", () => edit({ kind: "set_label", side, label, on: false }));
      return chip;
    });
    $(`chips-${lower}`).replaceChildren(...chips);
  }
  const chosen = page.selected ? boxOf(page.selected).label : page.label;
  page.labels.forEach((label, at) => $(`label-${at + 1}`).setAttribute("aria-pressed", String(label === chosen)));
  for (const side of ["A", "B", "same"]) $(`prefer-${side}`).setAttribute("aria-pressed", String(work.preference === side));
  const { is, note, by } = work.state;
  $("note-shown").hidden = !note;
  $("note-shown").textContent = note ? `${by} returned this: ${note}` : "";
  $("submit").disabled = !(page.mode === "annotate" && editable());
  $("release").disabled = !(page.mode === "annotate" && is === "open");
  $("item").dataset.pair = item.pair;
  $("item").dataset.state = is;
  $("place").textContent = `pair ${item.pair} · ${item.time_s.toFixed(3)} s · ${is}${page.mode === "review" ? ` · by ${item.annotator}` : ""}`;
}

function show(item) {
  page.item = item;
  Object.assign(page, { selected: null, past: [], nudge: null, side: "A" });
  $("item").hidden = false;
  $("prompt").textContent = item.prompt;
  $("note").value = "";
  for (const side of ["A", "B"]) views[side].show(item.frames[side]);
  draw();
}

async function load(pair, annotator) {
  const query = new URLSearchParams({ pair, annotator });
  const item = await ask(`/api/item?${query}`);
  if (item) show(item);
}

/** The next pair; waits until all of this one is on the server's disk. */
async function next() {
  page.turn += 1;
  const turn = page.turn;
  if (page.item) page.visited.push([page.item.pair, page.item.annotator]);
  await queue.drained();
  if (turn !== page.turn) return;
  if (page.mode === "annotate") {
    const said = await ask("/api/next", { name: page.name });
    if (said && said.pair) await load(said.pair, page.name);
    else if (said) finished("All pairs are done or with others.");
    return;
  }
  const list = await ask(`/api/review?${new URLSearchParams({ reviewer: page.name })}`);
  if (list && list.length > 0) await load(list[0].pair, list[0].annotator);
  else if (list) finished("Nothing waits for a review.");
}

function finished(text) {
  page.item = null;
  $("item").hidden = true;
  $("item").dataset.pair = "";
  $("place").textContent = text;
}

async function previous() {
  page.turn += 1;
  const here = page.item ? page.item.pair : null;
  if (page.mode === "review") {
    const last = page.visited.pop();
    if (last) await load(...last);
    return;
  }
  const list = await ask(`/api/list?${new URLSearchParams({ annotator: page.name })}`);
  if (!list) return;
  const at = here === null ? list.length : list.findIndex((one) => one.pair === here);
  if (at > 0) await load(list[at - 1].pair, page.name);
  else message("This is your first pair.");
}

function submit() {
  if (page.mode !== "annotate" || !page.item) return;
  if (!editable()) {
    next();
  } else if (page.item.work.preference === null) {
    message("Say which frame is better, or tie, before you go on.");
  } else {
    act({ kind: "submit" });
    next();
  }
}

function decide(change) {
  if (page.mode !== "review" || !editable()) return;
  act(change);
  next();
}

function chooseLabel(at) {
  page.label = page.labels[at];
  const box = page.selected && boxOf(page.selected);
  if (box && box.label !== page.label) edit({ kind: "relabel_box", key: box.key, label: page.label });
  else draw();
}

function addBox(side, box) {
  const key = randomId();
  if (!editable()) {
    edit({});
    return;
  }
  page.selected = key;
  act({ kind: "add_box", key, side, label: page.label, box });
}

function newBox() {
  const { width, height } = page.item.frames[page.side];
  addBox(page.side, inside([width * 0.4, height * 0.4, width * 0.6, height * 0.6], page.item.frames[page.side]));
}

function nudgeBox(event) {
  const box = page.selected && boxOf(page.selected);
  if (!box || !editable()) return;
  const frame = page.item.frames[box.side];
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const step = event.ctrlKey ? 1 : Math.max(1, Math.round(Math.min(frame.width, frame.height) / 100));
  const now = page.nudge && page.nudge.key === box.key ? page.nudge.box : box.box;
  if (page.nudge && page.nudge.key !== box.key) settle();
  const [x1, y1, x2, y2] = now;
  const grown = inside([x1, y1, Math.max(x1 + 2, x2 + dx * step), Math.max(y1 + 2, y2 + dy * step)], frame);
  page.nudge = { key: box.key, box: event.shiftKey ? grown : moved(now, dx * step, dy * step, frame) };
  draw();
}

function nextBox() {
  const boxes = page.item.work.boxes;
  if (boxes.length === 0) return;
  const at = boxes.findIndex((box) => box.key === page.selected);
  const box = boxes[(at + 1) % boxes.length];
  page.selected = box.key;
  activate(box.side);
}

function activate(side) {
  page.side = side;
  if (!page.item) return;
  const box = page.selected && boxOf(page.selected);
  if (box && box.side !== side) page.selected = null;
  draw();
}

const KEYS = {
  q: () => activate("A"),
  w: () => activate("B"),
  n: newBox,
  e: nextBox,
  delete: () => page.selected && edit({ kind: "delete_box", key: page.selected }),
  backspace: () => page.selected && edit({ kind: "delete_box", key: page.selected }),
  l: () => edit({ kind: "set_label", side: page.side, label: page.label, on: !hasLabel(page.item.work, page.side, page.label) }),
  a: () => edit({ kind: "prefer", preference: "A" }),
  b: () => edit({ kind: "prefer", preference: "B" }),
  t: () => edit({ kind: "prefer", preference: "same" }),
  z: () => act({ kind: "undo" }),
  enter: submit,
  y: () => decide({ kind: "accept" }),
  x: () => $("note").focus(),
  escape: () => { page.selected = null; draw(); },
};

function key(event) {
  const typing = event.target instanceof HTMLInputElement;
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || event.altKey || event.metaKey) return;
  if (event.key === "p") previous();
  if (!page.item || $("item").hidden) return;
  if (event.key.startsWith("Arrow") && page.selected) {
    event.preventDefault();
    nudgeBox(event);
    return;
  }
  const undo = event.ctrlKey && event.key === "z";
  // Enter on a button that has the focus presses it.
  const pressing = event.key === "Enter" && event.target instanceof HTMLButtonElement;
  if ((event.ctrlKey && !undo) || pressing) return;
  const number = Number(event.key);
  const does = number >= 1 && number <= page.labels.length ? () => chooseLabel(number - 1) : KEYS[event.key.toLowerCase()];
  if (!does) return;
  event.preventDefault();
  settle();
  does();
}

/** Reads mode and name from the address and shows what belongs to them. */
async function route() {
  page.turn += 1;
  const [mode, name] = decodeURIComponent(location.hash.slice(1)).split("/");
  page.mode = mode === "review" ? "review" : "annotate";
  page.name = name || localStorage.getItem("percept/name") || "";
  page.item = null;
  page.visited = [];
  message("");
  for (const id of ["item", "status", "start"]) $(id).hidden = true;
  $("place").textContent = "";
  for (const id of ["annotate", "review", "status"]) $(`go-${id}`).setAttribute("aria-pressed", String(id === (mode || "annotate")));
  $("reviewing").hidden = page.mode !== "review";
  $("submit").hidden = page.mode === "review";
  $("release").hidden = page.mode === "review";
  $("who").textContent = page.name;
  if (mode === "status") {
    $("status").hidden = false;
    await statusPage();
  } else if (!page.name || !name) {
    $("start").hidden = false;
    $("name").value = page.name;
    $("name").focus();
  } else {
    await next();
  }
}

async function statusPage() {
  const said = await ask("/api/status");
  if (!said) return;
  showStatus($("status"), said, async (pair, annotator) => {
    queue.add({ id: randomId(), by: page.name || annotator, pair, annotator, do: { kind: "release" } });
    await queue.drained();
    await statusPage();
  });
}

function go(mode, name) {
  const hash = `#${mode}${name ? `/${encodeURIComponent(name)}` : ""}`;
  if (location.hash === hash) route();
  else location.hash = hash;
}

function listen() {
  $("start").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("name").value.trim();
    localStorage.setItem("percept/name", name);
    if (name) go(page.mode, name);
  });
  for (const mode of ["annotate", "review", "status"]) $(`go-${mode}`).addEventListener("click", () => go(mode, page.name));
  for (const side of ["A", "B", "same"]) $(`prefer-${side}`).addEventListener("click", () => edit({ kind: "prefer", preference: side }));
  $("undo").addEventListener("click", KEYS.z);
  $("previous").addEventListener("click", previous);
  $("submit").addEventListener("click", submit);
  $("release").addEventListener("click", () => { act({ kind: "release" }); next(); });
  $("accept").addEventListener("click", KEYS.y);
  const giveBack = () => decide({ kind: "return", note: $("note").value.trim() });
  $("return").addEventListener("click", giveBack);
  $("note").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.target.blur(); giveBack(); } });
  document.addEventListener("keydown", key);
  // A button that was clicked does not keep the focus: Enter goes on to the next pair.
  document.addEventListener("click", (event) => { if (event.detail > 0 && event.target.closest("button")) document.activeElement.blur(); });
  document.addEventListener("keyup", (event) => { if (event.key.startsWith("Arrow")) settle(); });
  window.addEventListener("pagehide", settle);
  window.addEventListener("hashchange", route);
  window.addEventListener("resize", () => { if (page.item) draw(); });
}

async function begin() {
  const project = await ask("/api/project");
  if (!project) return;
  page.labels = project.labels;
  page.label = project.labels[0];
  project.labels.forEach((label, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.id = `label-${at + 1}`;
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = COLOURS[at % COLOURS.length];
    const number = document.createElement("kbd");
    number.textContent = at + 1;
    button.append(swatch, `${label} `, number);
    button.addEventListener("click", () => { settle(); chooseLabel(at); });
    $("labels").append(button);
  });
  queue = new Queue(project.key, {
    items(items) {
      const here = page.item;
      const same = here && items.find((item) => item.pair === here.pair && item.annotator === here.annotator);
      // What the server says counts, once nothing of ours is on its way.
      if (!same || queue.touches(here.pair, here.annotator) || page.nudge) return;
      here.work = same.work;
      draw();
    },
    async refused(why) {
      if (page.item) await load(page.item.pair, page.item.annotator);
      message(`Not stored: ${why}`);
    },
    changed(waiting, lost) {
      const saved = $("saved");
      saved.dataset.waiting = waiting;
      saved.toggleAttribute("data-lost", Boolean(lost) && waiting > 0);
      saved.textContent = waiting === 0 ? "saved" : lost ? `${waiting} kept here until the server answers` : `saving ${waiting}`;
    },
  });
  const hooks = {
    active: activate,
    drawn: addBox,
    moved: (key, box) => edit({ kind: "move_box", key, box }),
    selected: (key) => { settle(); page.selected = key; draw(); },
  };
  for (const side of ["A", "B"]) views[side] = new FrameView($(`frame-${side.toLowerCase()}`), side, hooks);
  listen();
  queue.flush();
  await route();
}

begin();
