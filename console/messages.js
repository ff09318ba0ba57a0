// The list of messages, newest first: next to the editor on a phone, and nothing has to be measured to keep it in view.
//
// Rows wait in #pending and are put in once a frame, or when more come than anybody reads, a few times a second. Nothing
// here reads layout except a passive scroll handler, so a thousand messages a second cost node creation and few reflows.

import { $, bytes, clock, count, el, plural, setText } from "./dom.js";
import { paint, pretty } from "./json.js";

const MAX_ROWS = 500;
const BUSY_ROWS = 8; // more than this in a frame and rows come in batches
const BUSY_MS = 120;
const MAX_SHOWN = 2000; // characters of a row that is not opened

export class MessageList {
  #list = $("messages");
  #row = $("row").content.firstElementChild;
  #items = new WeakMap(); // row → what it shows
  #pending = [];
  #frame = 0;
  #flushedAt = 0;
  #total = 0;
  #unseen = 0;
  #paused = false;
  #scrolled = false;
  #pretty = false;
  #filter = "";
  #onReuse;

  /** onReuse(text) is called when the reader wants a message in the editor. */
  constructor(onReuse) {
    this.#onReuse = onReuse;
    this.#list.addEventListener("scroll", () => this.#scroll(), { passive: true });
    this.#list.addEventListener("click", (e) => this.#click(e));
    this.#list.addEventListener("keydown", (e) => this.#key(e));
    $("fresh").addEventListener("click", () => this.#catchUp());
    $("pause").addEventListener("click", () => this.pause(!this.#paused));
    $("clear").addEventListener("click", () => this.clear());
    $("pretty").addEventListener("click", () => this.#setPretty(!this.#pretty));
    $("filter").addEventListener("input", (e) => this.#setFilter(e.target.value));
  }

  /** add takes {kind: message | error | event, at, body, own, who, position, size, tone}; kind and body are required. */
  add(item) {
    if (item.kind !== "event") this.#total++;
    this.#pending.push(item);
    // Hidden tabs get no animation frames; what would fall off the list anyway need not wait for one.
    if (this.#pending.length > 2 * MAX_ROWS) this.#pending.splice(0, this.#pending.length - MAX_ROWS);
    if (this.#paused || this.#scrolled) this.#unseen++;
    this.#schedule();
  }

  clear() {
    this.#pending.length = 0;
    this.#list.replaceChildren();
    this.#total = this.#unseen = 0;
    this.#scrolled = false;
    this.#schedule();
  }

  pause(on) {
    this.#paused = on;
    $("pause").setAttribute("aria-pressed", on);
    setText($("pause"), on ? "Resume" : "Pause");
    if (!on) this.#unseen = 0;
    this.#schedule();
  }

  get paused() {
    return this.#paused;
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame((now) => this.#flush(now));
  }

  #flush(now) {
    this.#frame = 0;
    if (this.#pending.length > BUSY_ROWS && now - this.#flushedAt < BUSY_MS) return this.#schedule();
    this.#flushedAt = now;
    if (!this.#paused && !this.#scrolled && this.#pending.length) {
      const fresh = this.#pending.splice(0).slice(-MAX_ROWS);
      const rows = document.createDocumentFragment();
      for (let i = fresh.length - 1; i >= 0; i--) rows.append(this.#render(fresh[i]));
      const surplus = this.#list.childElementCount + fresh.length - MAX_ROWS;
      for (let i = 0; i < surplus && this.#list.lastElementChild; i++) this.#list.lastElementChild.remove();
      this.#list.prepend(rows);
    }
    setText($("message-count"), count(this.#total));
    $("empty").hidden = this.#total > 0 || this.#list.firstElementChild !== null;
    const fresh = $("fresh");
    fresh.hidden = this.#unseen === 0;
    if (this.#unseen) setText(fresh, `${plural(this.#unseen, "new row")} · ${this.#paused ? "resume" : "back to the newest"}`);
  }

  #render(item) {
    const row = this.#row.cloneNode(true);
    const [time, who, body, position, size] = row.children;
    row.dataset.kind = item.kind;
    if (item.own) row.dataset.own = "";
    if (item.tone) row.dataset.tone = item.tone;
    time.textContent = clock(item.at, true);
    who.textContent = item.who ?? "";
    if (item.position) row.dataset.position = position.textContent = position.title = item.position;
    size.textContent = item.size === undefined ? "" : bytes(item.size);
    this.#items.set(row, item);
    this.#fill(row, body, item);
    row.hidden = !this.#matches(item);
    return row;
  }

  #fill(row, body, item) {
    const open = row.hasAttribute("data-open");
    body.textContent = "";
    let text = item.body;
    if (item.kind === "message" && (this.#pretty || open)) text = pretty(text);
    const cut = open || text.length <= MAX_SHOWN ? text : text.slice(0, MAX_SHOWN);
    if (item.kind === "message" && cut.length <= 20 * MAX_SHOWN) paint(body, cut);
    else body.textContent = cut;
    if (cut !== text) body.append(` … ${count(text.length - cut.length)} more characters`);
  }

  #matches(item) {
    return !this.#filter || item.body.toLowerCase().includes(this.#filter);
  }

  #refill(row) {
    this.#fill(row, row.querySelector(".body"), this.#items.get(row));
  }

  #setFilter(value) {
    this.#filter = value.trim().toLowerCase();
    for (const row of this.#list.children) row.hidden = !this.#matches(this.#items.get(row));
  }

  #setPretty(on) {
    this.#pretty = on;
    $("pretty").setAttribute("aria-pressed", on);
    this.#list.classList.toggle("is-pretty", on);
    for (const row of this.#list.children) this.#refill(row);
  }

  // Whoever scrolled down is reading: rows stop moving under the eyes until they come back to the top.
  #scroll() {
    const scrolled = this.#list.scrollTop > 24;
    if (scrolled === this.#scrolled) return;
    this.#scrolled = scrolled;
    if (!scrolled && !this.#paused) this.#unseen = 0;
    this.#schedule();
  }

  #catchUp() {
    this.#list.scrollTop = 0;
    this.#scrolled = false;
    this.pause(false);
    this.#list.focus({ preventScroll: true });
  }

  #toggle(row) {
    const open = row.toggleAttribute("data-open");
    const item = this.#items.get(row);
    this.#refill(row);
    row.querySelector(".row-tools")?.remove();
    if (!open || item.kind === "event") return;
    row.append(
      el("span", { className: "row-tools" },
        el("button", { type: "button", className: "chip", textContent: "Copy", dataset: { do: "copy" } }),
        el("button", { type: "button", className: "chip", textContent: "To the editor", dataset: { do: "reuse" } })),
    );
  }

  #click(e) {
    const row = e.target.closest("li");
    if (!row) return;
    const button = e.target.closest("button");
    if (!button) {
      // A click that ends a text selection must not fold the row under it.
      if (getSelection().isCollapsed) this.#toggle(row);
      return;
    }
    const { body } = this.#items.get(row);
    if (button.dataset.do === "reuse") this.#onReuse(body);
    else {
      const done = (text) => setText(button, text);
      // Clipboard needs a secure context; on plain http to another host there is none.
      if (!navigator.clipboard) done("Needs https");
      else navigator.clipboard.writeText(body).then(() => done("Copied"), () => done("Not allowed"));
    }
  }

  // Arrow keys walk the rows, so that 500 of them are one stop in the tab order.
  #key(e) {
    if (e.target.closest("button")) return;
    const row = e.target.closest("li");
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) {
      e.preventDefault();
      let next = row ? row : null;
      do next = next ? (step > 0 ? next.nextElementSibling : next.previousElementSibling) : this.#list.firstElementChild;
      while (next?.hidden);
      if (next) {
        next.tabIndex = -1;
        next.focus();
      }
    } else if (row && (e.key === "Enter" || e.key === " ")) {
      e.preventDefault();
      this.#toggle(row);
    } else if (row && e.key === "Escape") {
      this.#catchUp();
    }
  }
}
