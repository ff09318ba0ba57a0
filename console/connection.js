// The page's connection: fairlead.js does the work, and this adds what only a person wants to know, how long it was away above
// all. Knows no DOM.

import { Fairlead } from "./fairlead.js";

/**
 * Connection calls back:
 *   state({state, attempt, retryAt, retryIn, hinted})  connecting | open | waiting | closed; times in ms since the epoch
 *   opened({awayMs, attempts, position, resumable})    awayMs is null unless an open connection had been lost
 *   resumed({position}), gap({from, to})               right after opened
 *   message({value, position, text}), error({code, message}), frame({text})
 *   closed({code, reason, openMs, afterMs, hinted})    an open connection ended, and not by close()
 *   failed({attempts, cause})                          an attempt never got to open
 */
export class Connection {
  #on;
  #line = null;
  #key = "";
  #stop; // takes our listeners off the line
  #lostAt = 0;
  openedAt = 0;

  constructor(on) {
    this.#on = on;
  }

  /** open joins what url names, leaving what there was. The same again after close() resumes where it was. */
  open(url, resume) {
    const key = `${resume} ${url}`;
    if (key !== this.#key || this.state !== "closed") {
      this.#stop?.abort();
      this.#line?.close("Changing the channel");
      // A console shows whatever the server does, so that no close code ends it.
      this.#line = new Fairlead(url, { resume, fatal: [] });
      this.#key = key;
      this.#listen();
    }
    this.#lostAt = 0;
    this.#line.connect();
  }

  /** close ends it for good: nothing reconnects until open is called. */
  close() {
    this.#line?.close("Disconnected by the user");
  }

  retryNow() {
    this.#line?.retryNow();
  }

  /** send returns false when nothing can be sent now; the text goes out as it is. */
  send(text) {
    return this.#line?.sendText(text) ?? false;
  }

  get state() {
    return this.#line?.state ?? "closed";
  }

  get position() {
    return this.#line?.position ?? null;
  }

  get resumable() {
    return this.#line?.resumable ?? false;
  }

  /** backlog is how many bytes the browser still has to send. */
  get backlog() {
    return this.#line?.backlog ?? 0;
  }

  #listen() {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    for (const type of ["resumed", "gap", "message", "error", "frame"]) {
      this.#line.addEventListener(type, this.#on[type], { signal });
    }
    this.#line.addEventListener("state", (e) => this.#state(e), { signal });
  }

  #state(e) {
    const { state, attempt, afterMs, hinted, code, reason, openMs, cause, position, resumable } = e;
    const now = Date.now();
    if (state === "open") {
      const awayMs = this.#lostAt ? now - this.#lostAt : null;
      this.#lostAt = 0;
      this.openedAt = now;
      this.#on.state({ state, attempt });
      this.#on.opened({ awayMs, attempts: attempt, position, resumable });
      return;
    }
    if (state === "waiting" && cause === "lost") {
      if (openMs) this.#lostAt = now;
      this.#on.closed({ code, reason, openMs, afterMs, hinted });
    } else if (state === "waiting") this.#on.failed({ attempts: attempt, cause });
    this.#on.state({ state, attempt, hinted, retryIn: afterMs, retryAt: now + afterMs, code, reason });
  }
}
