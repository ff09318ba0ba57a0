// Counts what a resume brings. The server does not mark where the replay ends and live messages begin, and to a client positions
// are opaque. But a replay comes in one go, so it has ended when nothing came for a moment.

const QUIET_MS = 100;
const MOST_MS = 2_000; // on a busy channel it is never quiet

export class Replay {
  #done;
  #rewrite = null;
  #count = 0;
  #quiet = 0;
  #most = 0;

  /** done(count, whole) returns the words for the logbook; whole is false when it was cut off by the clock. */
  constructor(done) {
    this.#done = done;
  }

  /** begin counts from zero; rewrite(title, words) is the logbook entry's, title undefined to keep it. */
  begin(rewrite) {
    this.end();
    this.#rewrite = rewrite;
    this.#count = 0;
    this.#quiet = setTimeout(() => this.end(), QUIET_MS);
    this.#most = setTimeout(() => this.end(false), MOST_MS);
  }

  message() {
    if (!this.#rewrite) return;
    this.#count++;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.end(), QUIET_MS);
  }

  end(whole = true) {
    if (!this.#rewrite) return;
    clearTimeout(this.#quiet);
    clearTimeout(this.#most);
    const rewrite = this.#rewrite;
    this.#rewrite = null;
    rewrite(undefined, this.#done(this.#count, whole));
  }
}
