"use strict";
// What an action makes of a piece of work, as the server computes it: the page shows it at once.

/** The work after a change; undo and the end of a round are the server's to say. */
function changed(work, change) {
  const next = structuredClone(work);
  const boxes = next.boxes;
  const found = boxes.find((box) => box.key === change.key);
  switch (change.kind) {
    case "add_box":
      boxes.push({ key: change.key, side: change.side, label: change.label, box: change.box });
      break;
    case "move_box":
      found.box = change.box;
      break;
    case "relabel_box":
      found.label = change.label;
      break;
    case "delete_box":
      next.boxes = boxes.filter((box) => box !== found);
      break;
    case "set_label":
      next.labels = next.labels.filter(([side, label]) => side !== change.side || label !== change.label);
      if (change.on) next.labels.push([change.side, change.label]);
      break;
    case "prefer":
      next.preference = change.preference;
      break;
    case "submit":
      next.state = { is: "submitted" };
      break;
    default:
      break;
  }
  return next;
}

/** Whether the frame has the label without a box. */
function hasLabel(work, side, label) {
  return work.labels.some(([at, name]) => at === side && name === label);
}

/** A box inside the frame: whole pixels, at least two on each side. */
function inside([x1, y1, x2, y2], frame) {
  const clamp = (value, low, high) => Math.min(Math.max(Math.round(value), low), high);
  const left = clamp(Math.min(x1, x2), 0, frame.width - 2);
  const top = clamp(Math.min(y1, y2), 0, frame.height - 2);
  return [left, top, clamp(Math.max(x1, x2), left + 2, frame.width), clamp(Math.max(y1, y2), top + 2, frame.height)];
}

/** A box moved as a whole, which keeps its size at the edges. */
function moved([x1, y1, x2, y2], dx, dy, frame) {
  const x = Math.min(Math.max(Math.round(dx), -x1), frame.width - x2);
  const y = Math.min(Math.max(Math.round(dy), -y1), frame.height - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}
