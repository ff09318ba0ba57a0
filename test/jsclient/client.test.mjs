// The client's surface: its life, sending, errors, and what it leaves behind.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { Fairlead, FakeSocket, URL_OF_WSS, clock, open, watch } from "./fakes.mjs";

beforeEach(() => {
  clock.install();
  FakeSocket.made = [];
});
afterEach(() => clock.restore());

test("making one opens nothing; connect() opens once, however often it is called", () => {
  const w = watch();
  clock.tick(60_000);
  assert.deepEqual([FakeSocket.made.length, w.line.state], [0, "closed"]);
  assert.equal(w.line.connect().connect(), w.line);
  assert.equal(w.line.state, "connecting");
  clock.tick(0);
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.greet("c7k2:1");
  w.line.connect();
  FakeSocket.last.end();
  w.line.connect();
  assert.deepEqual([FakeSocket.made.length, w.line.state], [1, "waiting"]);
  clock.tick(250);
  assert.equal(FakeSocket.made.length, 2);
});

test("its life is told in order, with the attempts counted", () => {
  const w = watch();
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.end();
  clock.tick(w.last.afterMs);
  FakeSocket.last.greet("c7k2:1");
  clock.tick(42);
  FakeSocket.last.end(1001, "bye");
  assert.equal(w.last.openMs, 42);
  clock.tick(w.last.afterMs);
  w.line.close();
  assert.deepEqual(w.of("state").map((e) => [e.state, e.attempt]), [
    ["connecting", 1], ["waiting", 1], ["connecting", 2], ["open", 2], ["waiting", 0], ["connecting", 1], ["closed", undefined],
  ]);
});

test("close() closes with 1000 and stays closed, in every state", () => {
  const cases = {
    connecting: () => watch().line.connect(),
    dialling: () => {
      const { line } = watch();
      line.connect();
      clock.tick(0);
      return line;
    },
    open: () => open().line,
    waiting: () => {
      const { line } = open();
      FakeSocket.last.end();
      return line;
    },
  };
  for (const [name, make] of Object.entries(cases)) {
    FakeSocket.made = [];
    const line = make();
    const closed = [];
    line.addEventListener("state", (e) => closed.push([e.state, e.code]));
    const { length } = FakeSocket.made;
    line.close("done here");
    line.close();
    clock.tick(60_000);
    assert.deepEqual([closed, FakeSocket.made.length, clock.timers.size], [[["closed", 1000]], length, 0], name);
    if (FakeSocket.last?.readyState === 2) assert.deepEqual(FakeSocket.last.closing, { code: 1000, reason: "done here" });
  }
});

test("close() before connect() is nothing", () => {
  const w = watch();
  w.line.close();
  assert.deepEqual(w.events, []);
});

test("an abort closes it, and it cannot be opened again", () => {
  for (const prepare of [(w) => w, (w) => (w.line.connect(), w), (w) => (w.line.connect(), clock.tick(0), FakeSocket.last.greet("c7k2:1"), w)]) {
    const abort = new AbortController();
    const w = prepare(watch({ signal: abort.signal }));
    abort.abort();
    w.line.connect();
    clock.tick(60_000);
    assert.equal(w.line.state, "closed");
    assert.equal(clock.timers.size, 0);
  }
  const w = watch({ signal: AbortSignal.abort() });
  w.line.connect();
  assert.deepEqual([w.line.state, w.events], ["closed", []]);
});

test("a handler may close it at any moment", () => {
  for (const at of ["connecting", "open", "waiting"]) {
    const w = watch();
    w.line.addEventListener("state", (e) => e.state === at && w.line.close());
    w.line.connect();
    clock.tick(0);
    FakeSocket.last?.greet("c7k2:1").end();
    clock.tick(60_000);
    assert.deepEqual([w.line.state, clock.timers.size], ["closed", 0], at);
    FakeSocket.made = [];
  }
});

test("closed by a handler as it tries again, it does not try", () => {
  const w = open();
  w.line.addEventListener("state", (e) => e.state === "connecting" && w.line.close());
  FakeSocket.last.end();
  clock.tick(60_000);
  assert.deepEqual([w.line.state, FakeSocket.made.length], ["closed", 1]);
});

test("nothing stays behind on the page or the signal after close()", (t) => {
  const heard = new Set();
  const track = () => ({
    addEventListener(type, act, { signal }) {
      heard.add(type);
      signal.addEventListener("abort", () => heard.delete(type));
    },
  });
  globalThis.addEventListener = track().addEventListener;
  globalThis.document = track();
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.document;
  });
  const w = open();
  assert.deepEqual([...heard].sort(), ["online", "visibilitychange"]);
  w.line.close();
  assert.equal(heard.size, 0);
});

test("send takes values, sendText text; false when it is not open", () => {
  const w = watch();
  assert.equal(w.line.send(1), false);
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.upgrade();
  assert.equal(w.line.send(1), false, "before the greeting");
  FakeSocket.last.say({ connection: "ok" });
  assert.equal(w.line.send({ a: [1, null, "é"] }), true);
  assert.equal(w.line.sendText("1.0"), true);
  assert.deepEqual(FakeSocket.last.sent, ['{"a":[1,null,"é"]}', "1.0"]);
  FakeSocket.last.readyState = 2;
  assert.equal(w.line.send(1), false, "while it closes");
  FakeSocket.last.end();
  assert.equal(w.line.send(1), false, "while it waits");
});

test("what has no JSON form is refused where it is sent", () => {
  const { line } = open();
  for (const value of [undefined, () => {}, Symbol("x"), 1n, ((a) => (a.a = a))({})]) assert.throws(() => line.send(value), TypeError);
  assert.deepEqual(FakeSocket.last.sent, []);
});

test("the server's errors and frames of a later server are told, and the connection stays", () => {
  const w = open();
  FakeSocket.last.say({ error: { code: "invalid_json", message: "no" } });
  assert.deepEqual(w.last, { type: "error", code: "invalid_json", message: "no" });
  for (const text of ['{"presence":3}', "not JSON", "null", "5", '"x"', "[1]"]) {
    FakeSocket.last.say(text);
    assert.deepEqual(w.last, { type: "frame", text });
  }
  assert.equal(w.line.state, "open");
});

test("backlog is what the socket holds", () => {
  const w = watch();
  assert.equal(w.line.backlog, 0);
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.greet("c7k2:1").bufferedAmount = 77;
  assert.equal(w.line.backlog, 77);
});

test("a URL that the platform refuses ends it instead of throwing in a timer", () => {
  class Refusing {
    constructor() {
      throw new SyntaxError("insecure");
    }
  }
  const w = watch({ WebSocket: Refusing });
  w.line.connect();
  clock.tick(0);
  const { state, code, reason } = w.last;
  assert.deepEqual({ state, code, reason }, { state: "closed", code: 1006, reason: "insecure" });
});

test("what cannot work is said at once", () => {
  assert.throws(() => new Fairlead("not a url", { WebSocket: FakeSocket }), TypeError);
  assert.throws(() => new Fairlead(URL_OF_WSS, { WebSocket: null }), /options\.WebSocket/);
});

test("an attempt that fails with an error and a close counts once, and an error alone is enough", () => {
  for (const fail of [(s) => s.fail(), (s) => s.onerror({})]) {
    const w = watch();
    w.line.connect();
    clock.tick(0);
    fail(FakeSocket.last);
    assert.deepEqual(w.states(), ["connecting", "waiting"]);
    assert.deepEqual([w.last.cause, w.last.code, clock.timers.size], ["refused", 1006, 1]);
    w.line.close();
  }
});

test("an error of an open connection is left to the close that follows, which has the code", () => {
  const w = open();
  FakeSocket.last.onerror({});
  assert.equal(w.line.state, "open");
  FakeSocket.last.end(1002);
  assert.equal(w.last.code, 1002);
});

test("the types name what there is, and nothing else", () => {
  const types = readFileSync(process.env.FAIRLEAD_TYPES, "utf8");
  const body = types.slice(types.indexOf("export class Fairlead<"));
  const named = new Set([...body.matchAll(/^ {2}(?:readonly )?(\w+)[<(:]/gm)].map((m) => m[1]));
  const inherited = ["addEventListener", "removeEventListener"];
  assert.deepEqual([...named].filter((n) => !inherited.includes(n)).sort(), Object.getOwnPropertyNames(Fairlead.prototype).sort());
});
