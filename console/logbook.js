// The logbook: the connection's life in plain words, newest first, bounded.

import { $, clock, el } from "./dom.js";

const MAX_ENTRIES = 100;

/**
 * note adds an entry and returns a function that rewrites its words. Tone is one of open, closed, waiting, gap, quiet; type is
 * what happened, in a word, for style and tests.
 */
export function note(type, tone, title, detail = "") {
  const list = $("events");
  const strong = el("strong", { textContent: title });
  const words = el("span", { textContent: detail });
  list.prepend(
    el("li", { dataset: { event: type, tone } },
      el("time", { textContent: clock(Date.now()), dateTime: new Date().toISOString() }),
      el("div", {}, strong, words)),
  );
  while (list.childElementCount > MAX_ENTRIES) list.lastElementChild.remove();
  return (newTitle, newDetail = detail) => {
    strong.textContent = newTitle ?? title;
    words.textContent = newDetail;
  };
}
