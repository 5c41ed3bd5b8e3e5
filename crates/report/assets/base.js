// Small helpers. Text of the run reaches the page through textContent and attributes only.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "circle", "g", "rect", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const finite = (value) => typeof value === "number" && Number.isFinite(value);

// Four significant digits, thin spaces between thousands, exponents where they are shorter.
function number(value, digits = 4) {
  if (!finite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2).replace(/\.?0+e/, "e").replace(/^-/, "−").replace("e+", "e").replace("e-", "e−");
  const decimals = size === 0 || Number.isInteger(value) ? 0 : Math.max(0, Math.min(6, digits - 1 - Math.floor(Math.log10(size))));
  const [whole, part] = Math.abs(value).toFixed(decimals).split(".");
  const fraction = part ? part.replace(/0+$/, "") : "";
  const sign = value < 0 ? "−" : "";
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (fraction ? "." + fraction : "");
}

const percent = (value) => (finite(value) ? (100 * value).toFixed(1) : "–");

function duration(seconds) {
  if (!finite(seconds)) return "–";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function compact(value) {
  if (!finite(value)) return "–";
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (value >= size) return (value / size).toPrecision(3) + unit;
  }
  return String(value);
}

// A row of buttons of which one is pressed; options are [value, label, count].
function segments(node, options, chosen, choose) {
  node.replaceChildren(...options.map(([value, label, count]) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), on: { click: () => choose(value) } },
      label, count === undefined ? null : el("i", {}, String(count)))));
}

// The last choice of a control; a page opened from a file may have no storage.
function remembered(key, fallback) {
  try { return localStorage.getItem("percept." + key) ?? fallback; } catch { return fallback; }
}
function remember(key, value) {
  try { localStorage.setItem("percept." + key, value); } catch { /* a private window */ }
}

function setTheme(theme) { document.documentElement.dataset.theme = theme; }
function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => remembered("theme", "") || (system.matches ? "dark" : "light");
  setTheme(current());
  system.addEventListener("change", () => setTheme(current()));
  byId("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remember("theme", next);
    setTheme(next);
  });
}
