// Wires the parts: the connection to the instruments, the logbook, the messages and the editor.

import { draw } from "./chart.js";
import { Connection } from "./connection.js";
import { $, clock, count, duration, el, millis, plural, setText, store } from "./dom.js";
import { Editor } from "./editor.js";
import { bodyOf, closeWords } from "./frames.js";
import { utf8Length } from "./json.js";
import { bindKeys } from "./keys.js";
import { note } from "./logbook.js";
import { MessageList } from "./messages.js";
import { Echoes, Meters } from "./meters.js";
import { Replay } from "./replay.js";
import { askTask, diagnose, hideTrouble, showTrouble } from "./trouble.js";

const CHANNEL = /^[A-Za-z0-9_.:-]{1,128}$/;
const CHANNEL_RULE = "1 to 128 characters of A–Z a–z 0–9 _ . : -";
const RECENT = 5;

const meters = new Meters();
const echoes = new Echoes();
const messages = new MessageList((text) => editor.put(text));
const editor = new Editor({ send, backlog: () => connection.backlog });
const replay = new Replay((n, whole) => showReplayed(n, whole));
const connection = new Connection({
  state: onState, opened: onOpened, resumed: onResumed, gap: onGap, closed: onClosed, failed: onFailed,
  message: onMessage, error: onError, frame: onFrame,
});

let channel = firstChannel();
let resume = firstMode();
let reconnects = 0;
let resumes = 0;
let replayed = 0;
let gaps = 0;
let task = ""; // who served the page when last asked
let version = ""; // and the version this page came from
let failure = null; // rewrites the logbook entry about failing attempts
let unanswered = 0; // sent and not come back when the connection was lost
let lostAt = -1; // by performance.now(); what was sent before took the outage as well to come back
let phase = { state: "connecting" };
let countdown = 0;

// ---- channel and mode

function endpoint(name) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/wss?channel=${encodeURIComponent(name)}`;
}

// The page's query mirrors that of /wss, so that a link to a channel can be shared.
function firstChannel() {
  const asked = new URLSearchParams(location.search).get("channel") ?? location.hash.slice(1);
  if (CHANNEL.test(asked)) return asked;
  if (asked) sayChannel(`“${asked.slice(0, 40)}” is not a channel name: ${CHANNEL_RULE}. Using lobby.`, true);
  return "lobby";
}

function join(name) {
  if (!CHANNEL.test(name)) {
    sayChannel(name ? `Not a channel name: use ${CHANNEL_RULE}.` : "Give the channel a name, for example lobby.", true);
    return;
  }
  const moved = name !== channel;
  sayChannel("", false);
  if (!moved && connection.state === "open") {
    sayChannel(`You are in ${name}.`, false);
    return;
  }
  channel = name;
  $("channel").value = name;
  if (moved) note("channel", "quiet", `Changing to ${name}`);
  start();
}

// Plain mode is in the query too, for the same reason; resumable is what nobody has to ask for.
function firstMode() {
  return (new URLSearchParams(location.search).get("mode") ?? store.get("mode", "resumable")) !== "plain";
}

function toggleMode() {
  resume = !resume;
  store.set("mode", resume ? "resumable" : "plain");
  if (connection.state === "closed") showMode();
  else {
    note("mode", "quiet", `Changing to ${resume ? "a resumable" : "a plain"} connection`);
    start();
  }
}

function showMode() {
  const degraded = resume && connection.state === "open" && !connection.resumable;
  $("mode").setAttribute("aria-checked", resume);
  let words = resume ? (connection.position ? "at" : "") : "plain: what is missed is not replayed";
  if (degraded) words = "this server is an older one and answers in plain mode";
  setText($("mode-note"), words);
  setText($("position"), resume ? (connection.position ?? "") : "");
}

// Messages come faster than anybody reads positions.
let showing = 0;
function showModeSoon() {
  showing ||= requestAnimationFrame(() => {
    showing = 0;
    showMode();
  });
}

function start() {
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.set("channel", channel);
  if (resume) url.searchParams.delete("mode");
  else url.searchParams.set("mode", "plain");
  history.replaceState(null, "", url);
  store.set("channels", [channel, ...store.get("channels", []).filter((c) => c !== channel)].slice(0, RECENT));
  showRecent();
  setText($("endpoint"), endpoint(channel));
  echoes.forget(performance.now());
  failure = null;
  connection.open(endpoint(channel), resume);
}

function sayChannel(text, bad) {
  const hint = $("channel-hint");
  hint.dataset.tone = bad ? "bad" : "";
  $("channel").setAttribute("aria-invalid", bad);
  setText(hint, text);
}

function showRecent() {
  const names = store.get("channels", []).filter((c) => CHANNEL.test(c));
  if (names.length < 2) names.length = 0; // the field says it already
  $("recent").replaceChildren(
    ...names.map((name) => {
      const chip = el("button", { type: "button", className: "chip mono", textContent: name });
      if (name === channel) chip.setAttribute("aria-current", "true");
      chip.addEventListener("click", () => join(name));
      return chip;
    }),
  );
}

// ---- traffic

function send(text, isJSON) {
  if (!connection.send(text)) return false;
  meters.sent(Date.now());
  if (isJSON) echoes.sent(text, performance.now());
  return true;
}

function onMessage({ value, position, text }) {
  const at = Date.now();
  const body = bodyOf({ value, position, text });
  meters.received(at);
  replay.message();
  const now = performance.now();
  const rtt = echoes.match(body, now);
  if (rtt !== null && now - rtt > lostAt) meters.roundTrip(at, rtt);
  messages.add({ kind: "message", at, body, position, own: rtt !== null, who: rtt === null ? "" : "you", size: utf8Length(body) });
  showModeSoon();
}

function onError({ code, message }) {
  const at = Date.now();
  const words = `${code ?? "error"}: ${message ?? ""}`;
  meters.received(at);
  messages.add({ kind: "error", at, body: words, who: "error" });
  editor.answer(`The server answered ${words}`);
}

function onFrame({ text }) {
  const at = Date.now();
  meters.received(at);
  messages.add({ kind: "event", at, body: `A frame this console does not know: ${text}`, who: "?", tone: "waiting" });
}

// ---- the connection's life

function onState(next) {
  phase = next;
  document.documentElement.dataset.state = next.state;
  $("state").dataset.state = next.state;
  setText($("connect"), next.state === "closed" ? "Connect" : "Disconnect");
  $("retry").hidden = next.state !== "waiting";
  clearInterval(countdown);
  if (next.state === "waiting") countdown = setInterval(showState, 100);
  if (next.state === "closed") hideTrouble();
  if (next.state !== "open") replay.end();
  markAway();
  showMode();
  showState();
}

function showState() {
  const now = Date.now();
  const { state, attempt } = phase;
  const left = Math.max(0, phase.retryAt - now);
  const until = phase.hinted ? "" : " until retry";
  const words = { open: "Open", closed: "Closed", connecting: "Connecting…", waiting: `Waiting ${(left / 1000).toFixed(1)} s${until}` };
  let after = attempt > 0 ? `${plural(attempt, "attempt")} failed` : "the connection was lost";
  if (phase.hinted) after = "the server set the time";
  const notes = {
    open: `for ${duration(Math.floor((now - connection.openedAt) / 1000) * 1000 || 1000)}`,
    closed: "press Connect to open",
    connecting: attempt > 1 ? `attempt ${attempt}` : "",
    waiting: after,
  };
  setText($("state"), words[state]);
  setText($("state-note"), notes[state]);
  // While waiting, the line is paid out towards the server again.
  $("far-rope").style.clipPath = state === "waiting" ? `inset(0 ${(100 * left) / phase.retryIn || 0}% 0 0)` : "";
  document.title = `${{ open: "●", closed: "○", connecting: "◌", waiting: "◌" }[state]} ${channel} · Fairlead`;
}

async function onOpened({ awayMs, attempts, resumable, position }) {
  hideTrouble();
  failure = null;
  const back = awayMs !== null;
  const title = back ? `Back after ${duration(awayMs)}` : `Open on ${channel}`;
  const tries = attempts > 1 ? `, at attempt ${attempts}` : "";
  let lost = "";
  if (resume && !resumable) lost = " This server knows no positions, so this is a plain connection.";
  if (back && !resumable) lost += " Messages of that time are not replayed on this kind of connection.";
  if (back && unanswered) lost += ` ${plural(unanswered, "message")} sent just before had not come back.`;
  if (!back && position) lost = ` Live from position ${position}.`;
  unanswered = 0;
  if (back) {
    setText($("reconnects"), count(++reconnects));
    setText($("last-away"), `last away ${duration(awayMs)}`);
  }
  const rewrite = note(back ? "back" : "opened", "open", title + tries, "Asking which task serves the page…");
  messages.add({ kind: "event", at: Date.now(), body: title, who: "—", tone: "open" });
  announce(title);
  const before = task;
  const answer = await learnTask();
  let who = "Which task serves the page could not be learnt.";
  if (answer) {
    who = `Page served by ${task || "a task without a name"}`;
    if (before && back) who += before === task ? ", the same as before" : `; before, it was ${before}`;
    who += ".";
    if (version && answer.version !== version) who += ` It runs ${answer.version}, and this page is of ${version}: reload to get the new one.`;
    version ||= answer.version;
  }
  rewrite(title + tries, who + lost);
}

function onResumed({ position }) {
  setText($("resumed"), count(++resumes));
  messages.add({ kind: "event", at: Date.now(), body: `Resumed at position ${position}`, who: "—", tone: "open" });
  const rewrite = note("resumed", "open", `Resumed at position ${position}`, "What was missed follows…");
  replay.begin(rewrite);
}

function showReplayed(n, whole) {
  replayed += n;
  setText($("replayed"), `${count(replayed)} replayed`);
  const words = n ? `${plural(n, "message")} ${whole ? "" : "and more "}replayed` : "No message had been missed";
  announce(`Resumed. ${words}.`);
  return n ? `${words}. Nothing was lost.` : `${words}.`;
}

// A server without positions proves nothing on any return: that is what plain mode is, and onOpened says it.
function onGap({ from, to }) {
  showModeSoon();
  if (to === null) return;
  const at = Date.now();
  const n = echoes.forget(performance.now());
  setText($("gaps"), count(++gaps));
  setText($("last-gap"), `last at ${clock(at)}`);
  const words = `Gap: messages ${from === null ? "" : `after ${from} and `}up to ${to} may be missing`;
  const why = from === null ? "The connection before this one was plain" : `The server cannot prove what came after ${from}: its history no longer reaches back, or it began anew`;
  const own = n ? ` ${plural(n, "message")} sent just before had not come back.` : "";
  messages.add({ kind: "event", at, body: words, who: "—", tone: "gap" });
  note("gap", "gap", `Gap up to position ${to}`, `${why}.${own}`);
  announce("Back with a gap: messages may be missing.");
}

async function learnTask() {
  const answer = await askTask();
  if (!answer) return null;
  task = answer.task;
  setText($("task"), task || "unknown");
  setText($("version"), answer.version);
  return answer;
}

function onClosed({ code, reason, openMs, afterMs, hinted }) {
  const { name, words } = closeWords(code);
  lostAt = performance.now();
  // What this tab sent last may be among what is replayed.
  unanswered = connection.resumable ? 0 : echoes.forget(lostAt);
  const said = reason ? ` The server said: “${reason}”.` : "";
  const lasted = openMs ? ` It was open for ${duration(openMs)}.` : "";
  const hint = hinted ? ` It asked this tab to come back in ${duration(afterMs)}.` : "";
  note("closed", "closed", `Closed with ${code}, ${name}`, `${words}${said}${lasted}${hint}`);
  messages.add({ kind: "event", at: Date.now(), body: `Closed with ${code}${reason ? `: ${reason}` : `, ${name}`}`, who: "—", tone: "closed" });
  announce(`Connection closed. ${words} Reconnecting.`);
}

const CAUSES = {
  refused: "The connection was refused or broke before it was open; a browser does not tell which.",
  timeout: "The upgrade was not answered within 10 seconds.",
  silent: "The upgrade succeeded, but no greeting came within 10 seconds.",
  greeting: "What answered did not greet as Fairlead does: is something else answering at /wss?",
};

async function onFailed({ attempts, cause }) {
  const title = attempts === 1 ? "The attempt failed" : `${attempts} attempts failed`;
  if (failure) failure(title, CAUSES[cause]);
  else failure = note("failed", "waiting", title, CAUSES[cause]);
  // A task that restarts refuses one attempt as a matter of course; only then is it worth a banner.
  if (attempts < 2) return;
  const trouble = await diagnose(endpoint(channel));
  if (connection.state === "waiting" || connection.state === "connecting") showTrouble(trouble);
}

function disconnect() {
  connection.close();
  lostAt = performance.now();
  note("disconnected", "quiet", "Disconnected by you", "It stays closed until you connect again.");
  messages.add({ kind: "event", at: Date.now(), body: "Disconnected by you", who: "—", tone: "quiet" });
  announce("Disconnected.");
}

const toggleConnection = () => (connection.state === "closed" ? join($("channel").value.trim() || channel) : disconnect());

// One polite sentence at a time, the last one of a flurry.
let saying = 0;
function announce(text) {
  clearTimeout(saying);
  saying = setTimeout(() => setText($("announce"), text), 400);
}

// ---- the clock of the instruments

// The first attempt of a page just loaded is no outage.
function markAway() {
  if (phase.state === "waiting" || phase.state === "closed") meters.down(Date.now());
}

function tick() {
  const now = Date.now();
  markAway();
  const history = meters.history(now);
  const last = history.at(-1);
  setText($("rate-in"), count(last.in));
  setText($("rate-out"), count(last.out));
  setText($("total-in"), `${count(meters.totalIn)} in all`);
  setText($("total-out"), `${count(meters.totalOut)} in all`);
  if (meters.lastRtt !== null) setText($("rtt"), millis(meters.lastRtt));
  const spread = meters.spread();
  if (spread) setText($("rtt-more"), `median ${millis(spread.median)} · p95 ${millis(spread.p95)}`);
  if (document.visibilityState === "visible") draw(history);
  showState();
  showMode();
  setTimeout(tick, 1000 - (Date.now() % 1000) + 5); // on the second, when a whole one has passed
}

// ---- theme

const THEMES = ["system", "dark", "light"];

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "system";
  setText($("theme-label"), theme[0].toUpperCase() + theme.slice(1));
  $("theme").setAttribute("aria-label", `Theme: ${theme}. Change.`);
}

function nextTheme() {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    localStorage.setItem("fairlead.theme", theme); // bare, not JSON: theme.js reads it before any module is there
  } catch {
    // Blocked storage: the choice lasts as long as the page.
  }
  showTheme();
}

// ---- start

$("channel").value = channel;
$("channel-form").addEventListener("submit", (e) => {
  e.preventDefault();
  join($("channel").value.trim());
});
$("connect").addEventListener("click", toggleConnection);
$("retry").addEventListener("click", () => connection.retryNow());
$("mode").addEventListener("click", toggleMode);
$("theme").addEventListener("click", nextTheme);
bindKeys([
  ["e", "to the editor", () => editor.focus()],
  ["m", "to the messages", () => $("messages").focus()],
  ["c", "to the channel", () => $("channel").select()],
  ["/", "filter messages", () => $("filter").focus()],
  ["p", "pause or resume the messages", () => messages.pause(!messages.paused)],
  ["x", "clear the messages", () => messages.clear()],
  ["d", "connect or disconnect", toggleConnection],
  ["r", "retry now, while waiting", () => connection.retryNow()],
  ["s", "resumable or plain connection", toggleMode],
  ["t", "change the theme", nextTheme],
]);
showTheme();
start();
tick();
