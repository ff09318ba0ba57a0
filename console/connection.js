// One WebSocket to /wss, kept open. Knows no DOM and no message format beyond "the first frame is the greeting", so that
// a resuming client can take its place without the rest of the page noticing.

const BASE_MS = 250;
const CAP_MS = 10_000;
// Browsers wait minutes for a handshake that a firewall swallowed; a person does not.
const OPEN_TIMEOUT_MS = 10_000;
// Only a connection that lasted this long proves the server well. Resetting the back-off on open alone would hammer a
// server which accepts and closes at once.
const STABLE_MS = 5_000;
// 1013 says "come back later", so the first wait is drawn from up to 4 s instead of 250 ms.
const LATER_TRIES = 4;

/** backoff is the full-jitter wait in ms before attempt number tries+1: uniform in [0, min(cap, base·2^tries)). */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** tries);
}

/**
 * Connection calls back:
 *   state({state, attempt, retryAt, retryIn})  connecting | open | waiting | closed; times in ms since the epoch
 *   opened({awayMs, attempts, greeting})       awayMs is null the first time; greeting false when the first frame was no greeting
 *   text(string)                               every later frame
 *   closed({code, reason, openMs})             an open connection ended, and not by close()
 *   failed({attempts, cause})                  an attempt never got to open; cause refused | timeout | silent
 */
export class Connection {
  #urlOf;
  #isGreeting;
  #on;
  #channel = "";
  #socket = null;
  #timer = 0;
  #tries = 0; // drives the back-off
  #attempts = 0; // since the connection was last open
  #openedAt = 0;
  #lostAt = 0;
  state = "closed";

  constructor({ urlOf, isGreeting, on }) {
    this.#urlOf = urlOf;
    this.#isGreeting = isGreeting;
    this.#on = on;
    // Timers sleep in hidden tabs and networks return without asking: both are a reason not to wait any longer.
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.retryNow();
    });
  }

  /** open joins a channel, leaving the present one if there is any. */
  open(channel) {
    this.#detach("Changing the channel");
    this.#channel = channel;
    this.#tries = this.#attempts = this.#lostAt = 0;
    this.#dial();
  }

  /** close ends it for good: nothing reconnects until open is called. */
  close() {
    this.#detach("Disconnected by the user");
    this.#enter("closed");
  }

  retryNow() {
    if (this.state === "waiting") this.#dial();
  }

  /** send returns false when nothing can be sent now; nothing is queued, because nobody would know when it leaves. */
  send(text) {
    if (this.state !== "open" || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** backlog is how many bytes the browser still has to send. */
  get backlog() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  get openedAt() {
    return this.#openedAt;
  }

  #dial() {
    clearTimeout(this.#timer);
    this.#attempts++;
    this.#enter("connecting");
    let upgraded = false;
    const socket = new WebSocket(this.#urlOf(this.#channel));
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#timer = setTimeout(() => this.#fail(upgraded ? "silent" : "timeout"), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      upgraded = true;
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      if (this.state === "open") this.#on.text(text);
      else this.#opened(text);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (this.state === "open" || upgraded) this.#lost(code, reason);
      else this.#fail("refused");
    };
  }

  #opened(first) {
    clearTimeout(this.#timer);
    const greeting = this.#isGreeting(first);
    const awayMs = this.#lostAt ? Date.now() - this.#lostAt : null;
    const attempts = this.#attempts;
    this.#openedAt = Date.now();
    this.#lostAt = this.#attempts = 0;
    this.#enter("open");
    this.#on.opened({ awayMs, attempts, greeting });
    if (!greeting) this.#on.text(first);
  }

  #lost(code, reason) {
    const wasOpen = this.state === "open";
    const openMs = wasOpen ? Date.now() - this.#openedAt : 0;
    if (wasOpen) this.#lostAt = Date.now();
    if (openMs >= STABLE_MS) this.#tries = 0;
    if (code === 1013) this.#tries = Math.max(this.#tries, LATER_TRIES);
    this.#socket = null;
    this.#on.closed({ code, reason, openMs });
    this.#wait();
  }

  #fail(cause) {
    this.#detach("No greeting");
    this.#on.failed({ attempts: this.#attempts, cause });
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    const retryIn = backoff(this.#tries++);
    this.#timer = setTimeout(() => this.#dial(), retryIn);
    this.#enter("waiting", { retryIn, retryAt: Date.now() + retryIn });
  }

  // The page must not wait for a close handshake which a dead peer never answers, so the socket is let go at once.
  #detach(reason) {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.close(1000, reason);
  }

  #enter(state, more = {}) {
    this.state = state;
    this.#on.state({ state, attempt: this.#attempts, ...more });
  }
}
