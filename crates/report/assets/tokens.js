// One completion, token by token, coloured by a signal. A scale belongs to all loaded rollouts,
// so that colours of two completions can be compared.
const SIGNALS = {
  log_probs: { label: "log-probability", colours: ["--tok-surprise", "--tok-surprise"], low: (v) => Math.max(0, -v), floor: 2, ends: (m) => ["0 certain", `−${number(m, 2)} surprising`] },
  token_advantages: { label: "advantage", colours: ["--tok-up", "--tok-down"], low: (v) => v, floor: 0.1, signed: true, ends: (m) => [`−${number(m, 2)}`, `+${number(m, 2)}`] },
  log_ratio: { label: "log-ratio to the reference", colours: ["--tok-up", "--tok-down"], low: (v) => v, floor: 0.1, signed: true, ends: (m) => [`−${number(m, 2)} less likely`, `+${number(m, 2)} more likely`] },
  entropy: { label: "entropy", colours: ["--tok-entropy", "--tok-entropy"], low: (v) => Math.max(0, v), floor: 0.5, ends: (m) => ["0", `${number(m, 2)} nats`] },
  nucleus_entropy: { label: "nucleus entropy", colours: ["--tok-entropy", "--tok-entropy"], low: (v) => Math.max(0, v), floor: 0.5, ends: (m) => ["0", `${number(m, 2)} nats`] },
  visual_dependence: { label: "visual dependence", colours: ["--tok-up", "--tok-up"], low: (v) => v, floor: 0.5, ends: (m) => ["0", `${number(m, 2)} nats`] },
  token_set: { label: "perception / reasoning", colours: ["--tok-up", "--tok-down"], low: (v) => [0, 1, -1, -1][v], floor: 1, signed: true, ends: () => ["reasoning", "perception"] },
  weights: { label: "weight", colours: ["--tok-heavy", "--tok-light"], low: (v) => v - 1, floor: 0.2, signed: true, ends: (m) => [number(1 - m, 2), number(1 + m, 2)] },
};
const STRONGEST = 0.62; // opacity at which text is still readable on both themes

// The 98th percentile of a signal's size: one outlier does not pale the rest.
function scaleOf(signal, items) {
  const { low, floor } = SIGNALS[signal];
  const sizes = items.flatMap((item) => (item[signal] || []).filter(finite).map((value) => Math.abs(low(value)))).sort((a, b) => a - b);
  return Math.max(floor, sizes[Math.floor(sizes.length * 0.98)] || 0);
}

function tint(signal, value, scale) {
  if (!finite(value)) return "";
  const { colours, low } = SIGNALS[signal];
  const size = low(value) / scale;
  const strength = Math.min(1, Math.abs(size)) * STRONGEST;
  return strength < 0.015 ? "" : `rgb(var(${colours[size < 0 ? 1 : 0]}) / ${strength.toFixed(3)})`;
}

function legend(signal, scale) {
  const { colours, signed, ends } = SIGNALS[signal];
  const [low, high] = ends(scale);
  const full = (name) => `rgb(var(${name}) / ${STRONGEST})`;
  const gradient = signed ? `${full(colours[1])}, transparent, ${full(colours[0])}` : `transparent, ${full(colours[0])}`;
  return el("span", { class: "legend" }, low, el("i", { style: `background:linear-gradient(90deg, ${gradient})` }), high);
}

function tokenView(item, signal, scale) {
  const texts = item.token_text && item.token_text.length ? item.token_text : null;
  if (!texts) return el("div", { class: "tokens" }, item.completion || "");
  const spans = texts.flatMap((text, i) => {
    const value = signal && item[signal] ? item[signal][i] : undefined;
    const background = signal ? tint(signal, value, scale) : "";
    const pieces = text.split("\n");
    const span = el("span", { "data-i": i, style: background ? `background:${background}` : null });
    pieces.forEach((piece, k) => {
      if (k) span.append(el("i", { class: "nl", "aria-hidden": "true" }, "↵"), "\n");
      span.append(piece);
    });
    return [span];
  });
  const view = el("div", { class: "tokens" }, ...spans);
  view.addEventListener("pointerover", (event) => showTip(item, event.target.closest("[data-i]")));
  view.addEventListener("pointerleave", () => (byId("tip").hidden = true));
  return view;
}

function showTip(item, span) {
  const tip = byId("tip");
  if (!span) { tip.hidden = true; return; }
  const i = Number(span.dataset.i);
  const rows = [["token", `${i + 1} of ${item.token_text.length}`]];
  if (item.tokens && item.tokens.length) rows.push(["id", String(item.tokens[i])]);
  if (item.log_probs && finite(item.log_probs[i])) rows.push(["probability", `${percent(Math.exp(item.log_probs[i]))} %`]);
  for (const [name, { label }] of Object.entries(SIGNALS)) {
    if (item[name] && item[name].length) rows.push([label, number(item[name][i])]);
  }
  tip.replaceChildren(el("b", {}, JSON.stringify(item.token_text[i])), el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  tip.hidden = false;
  const box = span.getClientRects()[0] || span.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - tip.offsetWidth - 12);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${Math.max(8, left) + scrollX}px`;
  tip.style.top = `${(above > 56 ? above : box.bottom + 8) + scrollY}px`;
}
