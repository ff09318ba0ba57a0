// What to check when the WebSocket does not open. A browser hides the HTTP answer to a refused upgrade from the page, so
// the page asks the same host a plain question and reasons from that.

import { $, el } from "./dom.js";

const TIMEOUT_MS = 5_000;

// ask returns the answer, or null when nothing answered.
async function ask(path) {
  // Not AbortSignal.timeout, which the oldest browsers that run the rest of this page lack.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(path, { cache: "no-store", signal: abort.signal });
    return { status: response.status, body: response.ok ? await response.text() : "" };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** askTask returns {task, version} of the task that answers over HTTP now, or null. */
export async function askTask() {
  const answer = await ask("/console/task.json");
  try {
    return JSON.parse(answer.body);
  } catch {
    return null; // nothing answered, or something that is no Fairlead did
  }
}

/** diagnose returns {title, words, checks, command} for an endpoint that cannot be opened. */
export async function diagnose(endpoint) {
  // /ready and not the page's own files: a draining task still serves those, and refuses upgrades all the same.
  const status = (await ask("/ready"))?.status ?? 0;
  const host = location.host;
  if (status > 0 && status < 500) {
    return {
      title: "HTTP works here, the WebSocket does not.",
      words: "The browser keeps the reason to itself. Check, most likely first:",
      checks: [
        `Origin: the server takes its own origin by default. If a proxy changes the Host header, or this page lives elsewhere, start it with --allowed-origin ${location.origin}`,
        "Proxy: it must speak HTTP/1.1 to the server and pass on the headers Upgrade and Connection.",
        "Limits: the task may be full (503) or be getting too many upgrades a second (429); then this passes by itself.",
      ],
      command: curl(endpoint),
    };
  }
  if (status === 0) {
    return { title: `Nothing answers at ${host}.`, words: "The server is restarting or down, or this device is offline. Retrying goes on." };
  }
  return {
    title: `${host} answers, but is not ready (HTTP ${status}).`,
    words: "A task is starting or draining, or the load balancer has no healthy one. Retrying goes on.",
  };
}

// The key is the sample of RFC 6455 section 1.3; any will do.
function curl(endpoint) {
  const url = endpoint.replace(/^ws/, "http");
  return `curl -i -m 5 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' ` +
    `-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Origin: ${location.origin}' '${url}'`;
}

export function showTrouble({ title, words, checks, command }) {
  const banner = $("banner");
  // An alert that is written again is read out again: only news is written.
  if (!banner.hidden && banner.dataset.title === title) return;
  banner.dataset.title = title;
  banner.replaceChildren(el("strong", { textContent: title }), ` ${words}`);
  if (checks) banner.append(el("ul", {}, ...checks.map((text) => el("li", { textContent: text }))));
  if (command) {
    banner.append(el("details", {}, el("summary", { textContent: "See the server’s own answer with curl" }), el("code", { textContent: command })));
  }
  banner.hidden = false;
}

export function hideTrouble() {
  $("banner").hidden = true;
}
