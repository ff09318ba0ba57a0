// A clock that moves when it is told to, and sockets without a network.

import { pathToFileURL } from "node:url";

/** The module under test: as written, or minified. */
export const { Fairlead } = await import(pathToFileURL(process.env.FAIRLEAD_JS));

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  now: performance.now,
  random: Math.random,
};

export const clock = {
  now: 0,
  timers: new Map(),
  last: 0,

  install() {
    this.now = 1_000;
    this.timers.clear();
    globalThis.setTimeout = (act, ms = 0) => {
      this.timers.set(++this.last, { at: this.now + ms, act });
      return this.last;
    };
    globalThis.clearTimeout = (id) => this.timers.delete(id);
    performance.now = () => this.now;
  },

  restore() {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
    performance.now = real.now;
    Math.random = real.random;
  },

  /** tick lets ms pass and runs what is due, in order. */
  tick(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.now = Math.max(this.now, due[1].at);
      due[1].act();
    }
    this.now = end;
  },
};

/** dice makes Math.random return one value; below 1 as the real one. */
export function dice(value) {
  Math.random = () => value;
}

export class FakeSocket {
  static made = [];
  static get last() {
    return this.made.at(-1);
  }

  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  closing = null; // what close() was called with

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
  }

  send(text) {
    this.sent.push(text);
  }

  close(code, reason) {
    this.closing = { code, reason };
    this.readyState = 2;
  }

  // What the other side and the network do:

  upgrade() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  say(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
    return this;
  }

  /** greet upgrades and sends the hello, in plain mode without a position. */
  greet(position, recovered) {
    return this.upgrade().say({ connection: "ok", ...(position && { channel: "lobby", position }), recovered });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
    return this;
  }

  /** fail is what the platform does when an attempt came to nothing. */
  fail() {
    this.readyState = 3;
    this.onerror?.({});
    return this.end();
  }

  get since() {
    return new URL(this.url).searchParams.get("since");
  }
}

export const URL_OF_WSS = "ws://127.0.0.1:8080/wss";

const TYPES = ["state", "message", "resumed", "gap", "error", "frame"];

/** watch makes a client and returns it with a list of all its events, as plain objects. */
export function watch(options = {}, url = URL_OF_WSS) {
  const line = new Fairlead(url, { WebSocket: FakeSocket, ...options });
  const events = [];
  for (const type of TYPES) {
    line.addEventListener(type, (e) => {
      const fields = Object.fromEntries(Object.entries(e).filter(([name]) => name !== "isTrusted"));
      events.push({ type, ...fields });
    });
  }
  return {
    line,
    events,
    of: (type) => events.filter((e) => e.type === type),
    states: () => events.filter((e) => e.type === "state").map((e) => e.state),
    get last() {
      return events.at(-1);
    },
  };
}

/** open makes one that is open at a position. */
export function open(options, position = "c7k2:1043", url) {
  const watched = watch(options, url);
  watched.line.connect();
  clock.tick(0);
  FakeSocket.last.greet(position);
  return watched;
}
