// Fairlead's client: a WebSocket that comes back by itself and misses nothing it can get. One file, no dependency, for
// browsers and Node. docs/client.md shows how to use it, fairlead.d.ts has its types.
//
// The wire, as far as a client needs it (the whole contract: docs/contract.md):
//   ?since=now        {"connection":"ok","channel":"lobby","position":"c7k2:1043"}
//   ?since=POSITION   the same with "recovered":true, and all after POSITION follows; or "recovered":false, and it starts from now
//   a message         {"message":X,"position":"c7k2:1044"}
//   before a close    {"reconnect":{"afterMs":N}}
//   your own fault    {"error":{"code":"…","message":"…"}}

// Full jitter: a wait is drawn from 0 to min(CAP_MS, BASE_MS · 2^tries). The mean of the first is an eighth of a second, and
// nobody waits much longer than a person would before pressing reload.
const BASE_MS = 250;
const CAP_MS = 10_000;
// Browsers wait minutes for a handshake that a firewall swallowed; a person does not.
const OPEN_TIMEOUT_MS = 10_000;
// Only a connection that lasted this long proves the server well. Resetting the back-off on open alone would hammer a
// server which accepts and closes at once.
const STABLE_MS = 5_000;
// 1013 (try again later) and 1008 (policy: too many messages) ask for time: the first wait is drawn from up to 4 s.
const LATER = [1008, 1013];
const LATER_TRIES = 4;
// What would only happen again: 1002 and 1007 say that the stream is broken, 1009 that a message was too big. 1008 is not among
// them, because a rate is kept again as soon as one waits.
const FATAL = [1002, 1007, 1009];
const LONGEST_MS = 2 ** 31 - 1; // beyond it setTimeout fires at once

const now = () => performance.now(); // the wall clock may be set, this one only runs

export class Fairlead extends EventTarget {
  #url;
  #query;
  #options;
  #socket = null;
  #ears; // takes the listeners off everything that outlives a connection
  #timer;
  #state = "closed";
  #position = null;
  #resumable = false;
  #tries = 0; // drives the back-off
  #attempt = 0; // since the connection was last open
  #openedAt = null;
  #due = 0; // when the present wait ends
  #hint = null; // when the server wants us back

  constructor(url, options = {}) {
    super();
    this.#url = new URL(url, globalThis.location?.href);
    // Only "since" is ours. The rest goes out as it came: URLSearchParams would write %20 as +, and a signed query would break.
    const given = this.#url.searchParams.get("since");
    this.#query = this.#url.search.slice(1).split("&").filter((p) => p && !/^since(=|$)/.test(p));
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    this.#options = { WebSocket: globalThis.WebSocket, fatal: FATAL, resume: true, ...options };
    if (!this.#options.WebSocket) throw new TypeError("No WebSocket here: give one as options.WebSocket (Node has its own from 22 on)");
    const since = options.since ?? given;
    if (since !== "now" && this.#options.resume) this.#position = since || null;
  }

  get state() {
    return this.#state;
  }

  get position() {
    return this.#position;
  }

  get resumable() {
    return this.#resumable;
  }

  get backlog() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  connect() {
    const { signal } = this.#options;
    if (this.#state !== "closed" || signal?.aborted) return this;
    this.#tries = 0;
    this.#attempt = 1;
    this.#ears = new AbortController();
    const hear = (target, type, act) => target?.addEventListener?.(type, act, { signal: this.#ears.signal });
    hear(signal, "abort", () => this.close());
    // Timers sleep in hidden tabs and networks return without asking: both are a reason to look again.
    hear(globalThis, "online", () => this.#wake());
    hear(globalThis.document, "visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    // Not at once: whoever calls this in a message handler has not finished with that message, and would get it again.
    this.#arm(0);
    this.#enter("connecting", { attempt: 1 });
    return this;
  }

  close(reason = "") {
    if (this.#state !== "closed") this.#end(1000, reason);
  }

  retryNow() {
    if (this.#state === "waiting") this.#dial();
  }

  send(value) {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError("This value has no JSON form");
    return this.sendText(text);
  }

  // Nothing is queued: nobody would know when it leaves, or whether it is still wanted then.
  sendText(text) {
    if (this.#state !== "open" || this.#socket.readyState !== 1) return false;
    this.#socket.send(text);
    return true;
  }

  #dial() {
    clearTimeout(this.#timer);
    if (this.#state === "waiting") {
      this.#attempt++;
      this.#enter("connecting", { attempt: this.#attempt });
      if (this.#state !== "connecting") return; // a handler closed it
    }
    const asked = this.#options.resume ? (this.#position ?? "now") : null;
    this.#url.search = [...this.#query, ...(asked ? ["since=" + encodeURIComponent(asked)] : [])].join("&");
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#url.href);
    } catch (error) {
      // ws: from a page of https:, or no URL for a WebSocket: it would throw every time.
      this.#end(1006, error.message);
      return;
    }
    this.#socket = socket;
    this.#hint = null;
    let upgraded = false;
    this.#timer = setTimeout(() => this.#lost(upgraded ? "silent" : "timeout"), OPEN_TIMEOUT_MS);
    const mine = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = () => {
      upgraded = true;
    };
    socket.onmessage = mine(({ data }) => this.#frame(data, asked));
    socket.onclose = mine(({ code, reason }) => this.#lost(upgraded ? "lost" : "refused", code, reason));
    // After it a close follows that says more; but not in Node 20, when the upgrade was refused.
    socket.onerror = mine(() => upgraded || this.#lost("refused"));
  }

  #frame(text, asked) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      // Falls through to those that are not known.
    }
    if (typeof frame !== "object" || !frame) frame = {};
    const { position = null } = frame;
    if (this.#state !== "open") {
      if (frame.connection === "ok") this.#hello(frame, position, asked);
      else this.#lost("greeting");
    } else if ("message" in frame) {
      this.#emit("message", { value: frame.message, position, text });
      // Only now: whoever stores the position, or loses the connection meanwhile, gets what was not handled again.
      this.#position = position ?? this.#position;
    } else if (frame.error) {
      this.#emit("error", { code: frame.error.code, message: frame.error.message });
    } else if (Number.isFinite(frame.reconnect?.afterMs)) {
      this.#hint = now() + frame.reconnect.afterMs;
    } else {
      this.#emit("frame", { text });
    }
  }

  #hello({ recovered }, position, asked) {
    clearTimeout(this.#timer);
    const attempt = this.#attempt;
    const from = this.#position;
    const back = this.#openedAt !== null;
    this.#attempt = 0;
    this.#openedAt = now();
    this.#resumable = position !== null;
    const socket = this.#socket;
    this.#enter("open", { attempt, position, resumable: this.#resumable });
    if (!asked || socket !== this.#socket) return;
    if (from && recovered) {
      this.#emit("resumed", { position: from });
      return;
    }
    // A server that knows no positions proves nothing, so its greeting on return is a gap as well. Holding on to the old
    // position would bring what it delivers in the meantime once more.
    if (from || back) this.#emit("gap", { from, to: position });
    this.#position = position;
  }

  #lost(cause, code = 1006, reason = "") {
    clearTimeout(this.#timer);
    const openMs = this.#state === "open" ? now() - this.#openedAt : 0;
    const hinted = this.#hint !== null;
    if (openMs >= STABLE_MS) this.#tries = 0;
    if (LATER.includes(code)) this.#tries = Math.max(this.#tries, LATER_TRIES);
    if (!hinted && this.#options.fatal.includes(code)) {
      this.#end(code, reason);
      return;
    }
    this.#letGo();
    // The server has spread its hints over all who must return, so that jitter of ours would only blur its pacing. They count
    // from their arrival: how long the closing handshake takes is not planned for.
    const afterMs = hinted ? Math.max(0, this.#hint - now()) : Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** this.#tries++);
    this.#arm(afterMs);
    this.#enter("waiting", { afterMs, hinted, cause, code, reason, openMs, attempt: this.#attempt });
  }

  #wake() {
    if (this.#state !== "waiting") return;
    const left = Math.max(0, this.#due - now());
    if (this.#hint === null) {
      // Not at once: a network that returns, returns to everybody on it.
      this.#tries = 0;
      this.#arm(Math.min(left, Math.random() * BASE_MS));
    } else this.#arm(left); // the timer may have slept
  }

  #arm(ms) {
    clearTimeout(this.#timer);
    this.#due = now() + ms;
    this.#timer = setTimeout(() => this.#dial(), Math.min(ms, LONGEST_MS));
  }

  #end(code, reason) {
    clearTimeout(this.#timer);
    this.#ears.abort();
    this.#letGo(reason);
    this.#enter("closed", { code, reason });
  }

  // A dead peer never answers a closing handshake, so nobody waits for it.
  #letGo(reason) {
    const socket = this.#socket;
    this.#socket = null;
    if (socket?.readyState < 2) socket.close(1000, reason);
  }

  #enter(state, more) {
    this.#state = state;
    this.#emit("state", { state, ...more });
  }

  #emit(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}
