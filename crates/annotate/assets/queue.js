"use strict";
// Actions on their way to the server. Each is kept in the browser until the server has said that it is on its disk: a page
// that is closed, or whose server is away, sends it again. Its id keeps it from being stored twice.

const RETRY_MS = { first: 250, most: 4000 };
const ANSWER_MS = 15000;
const AT_ONCE = 50;

/** Random letters; also where the page is no "secure context" and crypto.randomUUID is missing. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One request with a deadline; throws when there is no answer of status 200. */
async function request(url, body) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), ANSWER_MS);
  const options = { signal: control.signal };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(url, options);
    const said = await answer.json();
    if (!answer.ok) {
      const error = new Error(said.error || `status ${answer.status}`);
      error.status = answer.status;
      throw error;
    }
    return said;
  } finally {
    clearTimeout(timer);
  }
}

class Queue {
  /** `hooks.items(items)` after answers, `hooks.refused(why)`, `hooks.changed(waiting, lost)`. */
  constructor(project, hooks) {
    this.prefix = `percept/${project}/`;
    this.hooks = hooks;
    this.waiting = new Map();
    this.count = 0;
    this.busy = false;
    this.lost = null;
    this.pause = RETRY_MS.first;
    this.empty = [];
    for (let at = 0; at < localStorage.length; at += 1) {
      const key = localStorage.key(at);
      if (key.startsWith(this.prefix)) this.waiting.set(key, JSON.parse(localStorage.getItem(key)));
    }
    this.waiting = new Map([...this.waiting].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  add(action) {
    this.count += 1;
    const time = String(Date.now()).padStart(15, "0");
    const key = `${this.prefix}${time}-${String(this.count).padStart(6, "0")}-${action.id}`;
    this.waiting.set(key, action);
    try {
      localStorage.setItem(key, JSON.stringify(action));
    } catch {
      // A browser that keeps nothing: the action lives as long as the page.
    }
    this.flush();
  }

  /** Whether an action on this work is on its way. */
  touches(pair, annotator) {
    return [...this.waiting.values()].some((a) => a.pair === pair && a.annotator === annotator);
  }

  /** Resolves when all is on the server's disk. */
  drained() {
    return this.waiting.size === 0 ? Promise.resolve() : new Promise((done) => this.empty.push(done));
  }

  async flush() {
    this.hooks.changed(this.waiting.size, this.lost);
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting.size > 0) await this.send([...this.waiting].slice(0, AT_ONCE));
      this.empty.splice(0).forEach((done) => done());
    } catch (error) {
      this.lost = error.message;
      setTimeout(() => this.flush(), this.pause);
      this.pause = Math.min(2 * this.pause, RETRY_MS.most);
    } finally {
      this.busy = false;
      this.hooks.changed(this.waiting.size, this.lost);
    }
  }

  async send(batch) {
    const said = await request("/api/actions", { actions: batch.map(([, action]) => action) });
    this.lost = null;
    this.pause = RETRY_MS.first;
    const keys = new Map(batch.map(([key, action]) => [action.id, key]));
    const refusals = [];
    for (const result of said.results) {
      const key = keys.get(result.id);
      this.waiting.delete(key);
      localStorage.removeItem(key);
      if (result.refused) refusals.push(result.refused);
    }
    this.hooks.items(said.items);
    if (refusals.length > 0) this.hooks.refused(refusals.join("; "));
    this.hooks.changed(this.waiting.size, this.lost);
  }
}
