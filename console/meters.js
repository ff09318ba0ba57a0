// What the instruments read: messages a second, and round trips. Pure; the chart draws it.

import { compact } from "./json.js";

export const WINDOW_S = 60;
const SLOTS = WINDOW_S + 2;

const empty = (second) => ({ second, in: 0, out: 0, down: false, rtts: 0, rttSum: 0, rttMax: 0 });

/** Meters counts into one slot a second. Slots are found by the clock, not by ticks: a hidden tab's timers stop. */
export class Meters {
  #slots = Array.from({ length: SLOTS }, () => empty(-1));
  #recent = []; // the last round trips, for median and 95th percentile
  totalIn = 0;
  totalOut = 0;
  lastRtt = null;

  #slot(now) {
    const second = Math.floor(now / 1000);
    const i = second % SLOTS;
    if (this.#slots[i].second !== second) this.#slots[i] = empty(second);
    return this.#slots[i];
  }

  received(now) {
    this.#slot(now).in++;
    this.totalIn++;
  }

  sent(now) {
    this.#slot(now).out++;
    this.totalOut++;
  }

  down(now) {
    this.#slot(now).down = true;
  }

  roundTrip(now, ms) {
    const slot = this.#slot(now);
    slot.rtts++;
    slot.rttSum += ms;
    slot.rttMax = Math.max(slot.rttMax, ms);
    this.lastRtt = ms;
    this.#recent.push(ms);
    if (this.#recent.length > 200) this.#recent.splice(0, 100);
  }

  /** history is the last WINDOW_S whole seconds, oldest first. */
  history(now) {
    const last = Math.floor(now / 1000) - 1;
    return Array.from({ length: WINDOW_S }, (_, i) => {
      const second = last - WINDOW_S + 1 + i;
      const slot = this.#slots[second % SLOTS];
      return slot.second === second ? slot : empty(second);
    });
  }

  /** spread is {median, p95, n} of the last hundred or two round trips, or null. */
  spread() {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
    return sorted.length ? { median: at(0.5), p95: at(0.95), n: sorted.length } : null;
  }
}

const KEEP_MS = 30_000;
const KEEP = 1000;

/**
 * Echoes tells which arriving messages this tab sent. The server does not mark them, so they are matched by content, white
 * space aside; two tabs that send the same bytes at the same moment may swap marks, and nothing else.
 */
export class Echoes {
  #sent = new Map(); // compact text → times of sending, oldest first

  sent(text, now) {
    const key = compact(text);
    const times = this.#sent.get(key);
    if (times && times.length < KEEP) times.push(now);
    else if (!times) this.#sent.set(key, [now]);
    if (this.#sent.size > KEEP) this.#sent.delete(this.#sent.keys().next().value);
  }

  /** match returns the round trip in ms, or null for a message of somebody else. */
  match(body, now) {
    if (this.#sent.size === 0) return null;
    const key = compact(body);
    const times = this.#sent.get(key);
    if (!times) return null;
    let at = times.shift();
    while (now - at > KEEP_MS && times.length) at = times.shift(); // an error answered those
    if (times.length === 0) this.#sent.delete(key);
    return now - at > KEEP_MS ? null : now - at;
  }

  /** forget empties the list and returns how many young messages had not come back. */
  forget(now) {
    let n = 0;
    for (const times of this.#sent.values()) n += times.filter((at) => now - at <= KEEP_MS).length;
    this.#sent.clear();
    return n;
  }
}
