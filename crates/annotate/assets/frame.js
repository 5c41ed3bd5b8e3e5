"use strict";
// One frame: its picture, its boxes, and the mouse on them. Coordinates are pixels of the frame.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#ff5d5d", "#ffa02e", "#ffe23d", "#5ddb5d", "#35d6d6", "#5b9dff", "#c58bff", "#ff7ad0"];

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

class FrameView {
  /** `hooks`: `active(side)`, `drawn(side, box)`, `moved(key, box)`, `selected(key)`. */
  constructor(svg, side, hooks) {
    this.svg = svg;
    this.side = side;
    this.hooks = hooks;
    this.picture = element("image", {}, svg);
    this.layer = element("g", {}, svg);
    this.drag = null;
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
  }

  show(frame) {
    this.frame = frame;
    this.drag = null;
    this.svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    const at = { href: frame.url, x: 0, y: 0, width: frame.width, height: frame.height };
    for (const [key, value] of Object.entries(at)) this.picture.setAttribute(key, value);
  }

  /** Pixels of the frame that one pixel of the screen shows. */
  scale() {
    const matrix = this.svg.getScreenCTM();
    return matrix ? 1 / matrix.a : 1;
  }

  draw(boxes, selected, labels) {
    this.boxes = boxes;
    this.selected = selected;
    this.labels = labels;
    this.layer.replaceChildren();
    const scale = this.scale();
    for (const { key, label, box } of boxes) {
      const corners = this.drag && this.drag.key === key ? this.drag.box : box;
      const colour = COLOURS[labels.indexOf(label) % COLOURS.length];
      const chosen = key === selected;
      const [x, y, right, bottom] = corners;
      const size = { x, y, width: right - x, height: bottom - y };
      const drawn = element("rect", { ...size, class: chosen ? "box selected" : "box", stroke: colour }, this.layer);
      drawn.dataset.key = key;
      const under = y < 18 * scale ? bottom + 14 * scale : y - 5 * scale;
      const text = element("text", { x: x + 2 * scale, y: under, "font-size": 13 * scale }, this.layer);
      text.textContent = label;
      if (chosen) this.handles(corners, key, scale);
    }
    if (this.drag && this.drag.what === "draw" && this.drag.box) {
      const [x, y, right, bottom] = this.drag.box;
      element("rect", { x, y, width: right - x, height: bottom - y, class: "box draft" }, this.layer);
    }
  }

  handles([x1, y1, x2, y2], key, scale) {
    [[x1, y1], [x2, y1], [x2, y2], [x1, y2]].forEach(([cx, cy], corner) => {
      const handle = element("circle", { cx, cy, r: 6 * scale, class: "handle" }, this.layer);
      handle.dataset.key = key;
      handle.dataset.corner = corner;
    });
  }

  point(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [at.x, at.y];
  }

  down(event) {
    if (event.button !== 0 || !this.frame) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    this.hooks.active(this.side);
    const { key, corner } = event.target.dataset;
    const from = this.point(event);
    const held = (this.boxes || []).find((box) => box.key === key);
    if (!held) {
      this.drag = { what: "draw", from, box: null };
    } else if (corner === undefined) {
      this.drag = { what: "move", from, key, start: held.box, box: held.box };
      this.hooks.selected(key);
    } else {
      const [x1, y1, x2, y2] = held.box;
      const opposite = [[x2, y2], [x1, y2], [x1, y1], [x2, y1]][corner];
      this.drag = { what: "resize", from: opposite, key, start: held.box, box: held.box };
    }
  }

  move(event) {
    if (!this.drag) return;
    const [x, y] = this.point(event);
    const { what, from, start } = this.drag;
    this.drag.box = what === "move"
      ? moved(start, x - from[0], y - from[1], this.frame)
      : inside([from[0], from[1], x, y], this.frame);
    this.draw(this.boxes, this.selected, this.labels);
  }

  up(event) {
    if (!this.drag) return;
    this.move(event);
    const { what, from, key, start, box } = this.drag;
    this.drag = null;
    const [x, y] = this.point(event);
    const far = Math.hypot(x - from[0], y - from[1]) > 3 * this.scale();
    if (what === "draw" && far) this.hooks.drawn(this.side, box);
    else if (what === "draw") this.hooks.selected(null);
    else if (String(box) !== String(start)) this.hooks.moved(key, box);
    this.draw(this.boxes, this.selected, this.labels);
  }

  cancel() {
    this.drag = null;
    this.draw(this.boxes || [], this.selected, this.labels || []);
  }
}
