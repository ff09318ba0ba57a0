// What the client asks for, and what it tells: positions, resumes, gaps.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeSocket, clock, dice, open, watch } from "./fakes.mjs";

beforeEach(() => {
  clock.install();
  FakeSocket.made = [];
});
afterEach(() => clock.restore());

const comeBack = (w) => clock.tick(w.last.afterMs);

// dialled is the address of the first attempt.
function dialled(url, options) {
  const { line } = watch(options, url);
  line.connect();
  clock.tick(0);
  const at = FakeSocket.last.url;
  line.close();
  return at;
}

test("the first connection asks for now, the next for what follows the last message", () => {
  const w = open();
  assert.equal(FakeSocket.last.url, "ws://127.0.0.1:8080/wss?since=now");
  FakeSocket.last.say({ message: "a", position: "c7k2:1044" }).end();
  comeBack(w);
  assert.equal(FakeSocket.last.url, "ws://127.0.0.1:8080/wss?since=c7k2%3A1044");
});

test("without a message it resumes from where the connection began", () => {
  const w = open();
  assert.equal(w.line.position, "c7k2:1043");
  FakeSocket.last.end();
  comeBack(w);
  assert.equal(FakeSocket.last.since, "c7k2:1043");
});

test("an attempt that failed does not change what is asked for", () => {
  const w = watch();
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.end();
  comeBack(w);
  assert.equal(FakeSocket.last.since, "now");
  FakeSocket.last.greet("c7k2:7").end();
  comeBack(w);
  FakeSocket.last.upgrade().end();
  comeBack(w);
  assert.equal(FakeSocket.last.since, "c7k2:7");
});

test("the rest of the query stays as it was given", () => {
  assert.equal(dialled("ws://h/wss?channel=a%20b&sig=x%2By+z&flag#part"), "ws://h/wss?channel=a%20b&sig=x%2By+z&flag&since=now");
  assert.equal(dialled("wss://h/wss?sincere=1"), "wss://h/wss?sincere=1&since=now");
});

test("http becomes ws, and the page's address completes a relative one", (t) => {
  assert.equal(dialled("http://h:8080/wss"), "ws://h:8080/wss?since=now");
  assert.equal(dialled(new URL("https://h/wss")), "wss://h/wss?since=now");
  globalThis.location = { href: "https://fair.example/console/x?y#z" };
  t.after(() => delete globalThis.location);
  assert.equal(dialled("/wss?channel=harbour"), "wss://fair.example/wss?channel=harbour&since=now");
});

test("a stored position is where it starts, from the option before the URL", () => {
  assert.equal(dialled("ws://h/wss?since=a:1&channel=x"), "ws://h/wss?channel=x&since=a%3A1");
  assert.equal(dialled("ws://h/wss?since=a:1", { since: "b:2" }), "ws://h/wss?since=b%3A2");
  assert.equal(dialled("ws://h/wss?since=now"), "ws://h/wss?since=now");
  assert.equal(dialled("ws://h/wss", { since: "now" }), "ws://h/wss?since=now");
});

test("with a stored position the first greeting already tells whether all is there", () => {
  for (const [recovered, want] of [[true, { type: "resumed", position: "c7k2:40" }], [false, { type: "gap", from: "c7k2:40", to: "c7k2:99" }]]) {
    const w = watch({ since: "c7k2:40" });
    w.line.connect();
    clock.tick(0);
    FakeSocket.last.greet("c7k2:99", recovered);
    assert.deepEqual(w.last, want);
  }
});

test("plain mode asks for nothing and tells of no gap", () => {
  assert.equal(dialled("ws://h/wss?since=a:1&channel=x", { resume: false }), "ws://h/wss?channel=x");
  const w = open({ resume: false }, null);
  FakeSocket.last.say({ message: 1 }).end();
  comeBack(w);
  FakeSocket.last.greet();
  assert.deepEqual([w.line.position, w.line.resumable, w.of("gap"), w.of("resumed")], [null, false, [], []]);
});

test("a return that lost nothing says so, before the messages that were missed", () => {
  const w = open();
  FakeSocket.last.say({ message: 1, position: "c7k2:1044" }).end();
  comeBack(w);
  FakeSocket.last.greet("c7k2:1044", true).say({ message: 2, position: "c7k2:1045" });
  const { length } = w.events;
  assert.deepEqual(w.events.slice(length - 3).map((e) => [e.type, e.state ?? e.position]), [["state", "open"], ["resumed", "c7k2:1044"], ["message", "c7k2:1045"]]);
  assert.equal(w.line.position, "c7k2:1045");
});

test("a recovered greeting does not move the position, whichever it names", () => {
  const w = open();
  FakeSocket.last.end();
  comeBack(w);
  FakeSocket.last.greet("c7k2:1090", true).end();
  assert.equal(w.line.position, "c7k2:1043");
});

test("a gap names where it begins and ends, and the position is behind it once it was told", () => {
  const w = open();
  let during;
  w.line.addEventListener("gap", () => {
    during = w.line.position;
  });
  FakeSocket.last.end();
  comeBack(w);
  FakeSocket.last.greet("d9:5", false);
  assert.deepEqual(w.last, { type: "gap", from: "c7k2:1043", to: "d9:5" });
  assert.deepEqual([during, w.line.position], ["c7k2:1043", "d9:5"]);
});

test("a greeting that does not say recovered proves nothing", () => {
  const w = open();
  FakeSocket.last.end();
  comeBack(w);
  FakeSocket.last.greet("c7k2:1043");
  assert.equal(w.last.type, "gap");
});

test("who asked for now has resumed nothing, whatever the greeting says", () => {
  const w = watch();
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.greet("c7k2:1", true);
  assert.deepEqual([w.of("resumed"), w.line.position], [[], "c7k2:1"]);
});

test("a handler that closes on open has not seen the gap, and is told next time", () => {
  const w = open();
  FakeSocket.last.end();
  comeBack(w);
  w.line.addEventListener("state", (e) => e.state === "open" && w.line.close(), { once: true });
  const leave = (e) => e.state === "open" && w.line.close();
  w.line.addEventListener("state", leave);
  FakeSocket.last.greet("d9:5", false);
  w.line.removeEventListener("state", leave);
  assert.deepEqual([w.of("gap").length, w.line.position], [0, "c7k2:1043"]);
  w.line.connect();
  clock.tick(0);
  assert.equal(FakeSocket.last.since, "c7k2:1043");
});

test("a message moves the position after its handlers, with its value and its text", () => {
  const w = open();
  const seen = [];
  w.line.addEventListener("message", (e) => seen.push([e.position, w.line.position]));
  FakeSocket.last.say('{"message":{"n":1.0,"big":12345678901234567890},"position":"c7k2:1044"}');
  assert.deepEqual(seen, [["c7k2:1044", "c7k2:1043"]]);
  assert.equal(w.line.position, "c7k2:1044");
  const { value, text } = w.last;
  assert.equal(value.n, 1);
  assert.equal(text, '{"message":{"n":1.0,"big":12345678901234567890},"position":"c7k2:1044"}');
});

test("a message may hold anything: null, and what looks like other frames", () => {
  const w = open();
  const values = [null, false, 0, "", { error: { code: "x" } }, { reconnect: { afterMs: 1 } }, { connection: "ok" }, { position: "z:9" }];
  values.forEach((message, i) => FakeSocket.last.say({ message, position: `c7k2:${1044 + i}` }));
  assert.deepEqual(w.of("message").map((e) => e.value), values);
  assert.equal(w.of("error").length + w.of("frame").length, 0);
  FakeSocket.last.end();
  assert.equal(w.last.hinted, false);
});

test("closing and connecting inside a handler does not bring the message again", () => {
  const w = open();
  w.line.addEventListener("message", () => w.line.close() ?? w.line.connect(), { once: true });
  FakeSocket.last.say({ message: 1, position: "c7k2:1044" });
  clock.tick(0);
  assert.equal(FakeSocket.last.since, "c7k2:1044");
});

test("what an old connection still says is not heard: the new one brings it", () => {
  const w = open();
  const old = FakeSocket.last;
  w.line.close();
  old.say({ message: 1, position: "c7k2:1044" });
  w.line.connect();
  clock.tick(0);
  assert.deepEqual([w.of("message"), FakeSocket.last.since], [[], "c7k2:1043"]);
});

test("a server without positions is a plain connection, and every return to it a gap", () => {
  const w = open({}, null);
  assert.deepEqual([w.line.resumable, w.line.position, w.of("gap")], [false, null, []]);
  FakeSocket.last.say({ message: 1 });
  assert.deepEqual([w.last.position, w.last.value], [null, 1]);
  FakeSocket.last.end();
  comeBack(w);
  assert.equal(FakeSocket.last.since, "now");
  FakeSocket.last.greet();
  assert.deepEqual(w.last, { type: "gap", from: null, to: null });
  FakeSocket.last.end();
  comeBack(w);
  FakeSocket.last.greet("c7k2:5");
  assert.deepEqual([w.last, w.line.resumable, w.line.position], [{ type: "gap", from: null, to: "c7k2:5" }, true, "c7k2:5"]);
});

test("a return to a server without positions forgets the old one, or its messages would come twice", () => {
  const w = open();
  FakeSocket.last.end();
  comeBack(w);
  FakeSocket.last.greet().say({ message: "while plain" });
  assert.deepEqual(w.of("gap"), [{ type: "gap", from: "c7k2:1043", to: null }]);
  FakeSocket.last.end();
  comeBack(w);
  assert.equal(FakeSocket.last.since, "now");
});

// A server in a few lines: one channel, a window, a new epoch now and then. Whatever happens to the connection, what the client
// has been told must be the channel's messages in order, each once, with holes only where it was told of a gap.
test("whatever the network does, nothing comes twice and no hole is untold", () => {
  let [messages, gaps, resumes] = [0, 0, 0];
  for (let seed = 1; seed <= 300; seed++) {
    let state = seed;
    const roll = (n) => (state = (state * 48271) % 2147483647) % n;
    dice(0.5);
    let epoch = 1;
    const all = []; // every message ever, in order
    let window = []; // those that can be replayed
    const head = () => `e${epoch}:${all.length}`;
    let served; // the socket that gets messages
    const { line } = watch();
    const told = [];
    line.addEventListener("message", (e) => {
      told.push(e.value);
      if (roll(20) === 0) line.close();
    });
    line.addEventListener("gap", () => told.push("gap"));
    line.addEventListener("resumed", () => resumes++);
    line.connect();
    const publish = () => {
      all.push(all.length + 1);
      window.push({ message: all.length, position: head() });
      if (roll(3) === 0) window = window.slice(-roll(6));
      if (served?.readyState === 1) served.say(window.at(-1) ?? { message: all.length, position: head() });
    };
    let first = null;
    for (let step = 0; step < 120; step++) {
      const socket = FakeSocket.last;
      switch (roll(6)) {
        case 0:
        case 1:
          if (served) publish();
          break;
        case 2:
          if (socket && socket.readyState < 2) socket.end();
          break;
        case 3:
          if (roll(4) === 0 && served) {
            epoch++;
            window = [];
          }
          break;
        case 4:
          line.connect();
          clock.tick(20_000);
          break;
        default:
          if (!socket || socket.readyState !== 0 || socket.url === undefined) break;
          served = socket;
          if (socket.since === "now") {
            first ??= all.length;
            socket.greet(head());
            break;
          }
          const [e, offset] = socket.since.slice(1).split(":").map(Number);
          const rest = window.filter((m) => m.message > offset);
          const whole = e === epoch && rest.length === all.length - offset;
          socket.greet(whole ? socket.since : head(), whole);
          if (whole) rest.forEach((m) => socket.say(m));
      }
    }
    let at = first ?? 0;
    let gap = false;
    for (const what of told) {
      if (what === "gap") {
        gaps++;
        gap = true;
        continue;
      }
      assert.ok(gap ? what > at : what === at + 1, `seed ${seed}: ${what} after ${at}${gap ? " and a gap" : ""}`);
      messages++;
      at = what;
      gap = false;
    }
    line.close();
    FakeSocket.made = [];
    clock.timers.clear();
  }
  assert.ok(messages > 3000 && gaps > 300 && resumes > 300, `the model met ${messages} messages, ${gaps} gaps, ${resumes} resumes`);
});
