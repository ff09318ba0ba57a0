// Shortcuts and the help that lists them, from one table so that they cannot disagree.

import { $, el, store } from "./dom.js";

/** bindKeys takes [[key, words, action]]; a single key acts only outside fields, and never when switched off. */
export function bindKeys(table) {
  const help = $("help");
  const toggle = $("single-keys");
  toggle.checked = store.get("keys", true);
  toggle.addEventListener("change", () => store.set("keys", toggle.checked));
  const open = () => help.showModal();
  $("help-open").addEventListener("click", open);

  const listed = [
    ["Ctrl or ⌘ + Enter", "send"],
    ["… + Shift", "send as is, JSON or not"],
    ["Alt + ↑ ↓", "recall what was sent"],
    ["↑ ↓ Enter", "walk the messages, open one"],
    ["?", "this help", open],
    ...table,
  ];
  for (const [key, words] of listed) $("keys").append(el("dt", {}, el("kbd", { textContent: key })), el("dd", { textContent: words }));

  const actions = new Map(listed.filter(([, , act]) => act).map(([key, , act]) => [key, act]));
  document.addEventListener("keydown", (e) => {
    if (!toggle.checked || e.ctrlKey || e.metaKey || e.altKey || help.open) return;
    if (e.target.closest("input, textarea, select")) {
      if (e.key === "Escape") e.target.blur(); // the way out of a field, back to single keys
      return;
    }
    const act = actions.get(e.key);
    if (!act) return;
    e.preventDefault();
    act();
  });
}
