// The editor: says at once whether the text is JSON and where it is not, and sends it. What is not JSON is held back once,
// and goes out as it is when the person insists, because seeing the server's answer is half the point of a console.

import { $, bytes, el, setText } from "./dom.js";
import { compact, findFault, pretty, utf8Length } from "./json.js";

const SNIPPETS = [
  ["hello", '{"text": "Hello from this tab"}'],
  ["nested", '{\n  "type": "position",\n  "ship": {"name": "Arethusa", "at": [54.32, 10.14]},\n  "under way": true\n}'],
  ["number", "42"],
  ["not JSON", "{'text': hello}"],
  ["8 KiB", () => JSON.stringify({ filler: "abcdefghijklmno ".repeat(511) })],
];
const LIMIT = 64 * 1024; // the server's default --max-message-bytes
const RECALL = 30;
const BACKLOG = 1 << 20;

export class Editor {
  #area = $("editor");
  #fault = null;
  #sent = [];
  #recall = -1;
  #timer = 0;
  #send;
  #backlog;

  /** send(text, isJSON) returns false when the connection is not open; backlog() is the bytes not yet on the wire. */
  constructor({ send, backlog }) {
    this.#send = send;
    this.#backlog = backlog;
    const mac = /Mac|iPhone|iPad/.test(navigator.platform);
    setText($("send-key"), mac ? "⌘ ↵" : "Ctrl ↵");
    for (const [name, text] of SNIPPETS) {
      const chip = el("button", { type: "button", className: "chip", textContent: name });
      chip.addEventListener("click", () => this.put(typeof text === "function" ? text() : text));
      $("snippets").append(chip);
    }
    this.#area.value = SNIPPETS[0][1];
    this.#area.addEventListener("input", () => this.#judge());
    this.#area.addEventListener("keydown", (e) => this.#key(e));
    $("send").addEventListener("click", () => this.send(false));
    $("send-raw").addEventListener("click", () => this.send(true));
    $("quote").addEventListener("click", () => this.put(JSON.stringify(this.#area.value)));
    $("format").addEventListener("click", () => this.#tidy());
    $("repeat").addEventListener("change", (e) => this.#repeat(Number(e.target.value)));
    this.#judge();
  }

  /** put replaces the text, in a way that the browser's undo knows where it can. */
  put(text) {
    this.#area.focus();
    this.#area.select();
    // execCommand is the only way to keep undo; it is deprecated without a successor, hence the fallback.
    if (!document.execCommand?.("insertText", false, text) || this.#area.value !== text) this.#area.value = text;
    this.#judge();
  }

  focus() {
    this.#area.focus();
  }

  /** answer shows what became of the last thing sent; no text hides it. */
  answer(text, tone = "error") {
    const p = $("answer");
    p.hidden = !text;
    p.dataset.tone = tone;
    setText(p, text ?? "");
  }

  send(asIs) {
    const text = this.#area.value;
    this.#judge();
    if (this.#fault && !asIs) {
      const held = text.trim() === "" ? "Nothing sent: the editor is empty." : "Not sent: this is not JSON. Quote it, or send it as is to see the server’s answer (Ctrl or ⌘ + Shift + Enter).";
      this.answer(held, "held");
      return;
    }
    if (!this.#send(text, !this.#fault)) {
      this.answer("Not sent: the connection is not open.", "held");
      return;
    }
    this.answer();
    this.#recall = -1;
    if (this.#sent[0] !== text) this.#sent.unshift(text);
    this.#sent.length = Math.min(this.#sent.length, RECALL);
  }

  #judge() {
    const text = this.#area.value;
    this.#fault = findFault(text);
    const blank = text.trim() === "";
    const verdict = $("verdict");
    const size = utf8Length(text);
    const tooBig = size > LIMIT;
    verdict.dataset.tone = blank ? "" : this.#fault ? "bad" : tooBig ? "warn" : "good";
    this.#area.setAttribute("aria-invalid", Boolean(this.#fault) && !blank);
    let words = `JSON · ${bytes(size)}`;
    if (blank) words = "Type JSON, or pick an example.";
    else if (this.#fault) words = `Not JSON. Line ${this.#fault.line}, column ${this.#fault.column}: ${this.#fault.words}.`;
    else if (tooBig) words += " · above the default limit of 64 KiB: expect the connection to close with 1009";
    setText(verdict, words);
    $("quote").hidden = $("send-raw").hidden = blank || !this.#fault;
    $("format").hidden = !blank && Boolean(this.#fault);
  }

  #tidy() {
    const text = this.#area.value;
    if (findFault(text)) return;
    const laidOut = pretty(text);
    this.put(text === laidOut ? compact(text) : laidOut);
  }

  #key(e) {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      this.send(e.shiftKey);
    } else if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) {
      e.preventDefault();
      this.#recall = Math.max(0, Math.min(this.#sent.length - 1, this.#recall + (e.key === "ArrowUp" ? 1 : -1)));
      if (this.#sent.length) this.put(this.#sent[this.#recall]);
    }
  }

  #repeat(ms) {
    clearInterval(this.#timer);
    if (!ms) return;
    this.#timer = setInterval(() => {
      // A gap in the connection pauses the repetition without ending it: that is what one wants to watch at a drain.
      if (!this.#fault && this.#backlog() < BACKLOG) this.#send(this.#area.value, true);
    }, ms);
  }
}
