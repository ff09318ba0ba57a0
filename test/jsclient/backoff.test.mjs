// When the client comes back: jitter, the server's hint, wakes, and when it stays away.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeSocket, clock, dice, open, watch } from "./fakes.mjs";

const ALMOST_ONE = 1 - Number.EPSILON;

beforeEach(() => {
  clock.install();
  FakeSocket.made = [];
});
afterEach(() => clock.restore());

// waitsOf fails n attempts and returns the waits that follow.
function waitsOf(n, random) {
  dice(random);
  const { line, events } = watch();
  line.connect();
  clock.tick(0);
  const waits = [];
  for (let i = 0; i < n; i++) {
    FakeSocket.last.end();
    waits.push(events.at(-1).afterMs);
    clock.tick(events.at(-1).afterMs);
  }
  line.close();
  return waits;
}

test("waits are drawn from 0 up to a bound that doubles from 250 ms to 10 s", () => {
  assert.deepEqual(waitsOf(8, 0), Array(8).fill(0));
  const bounds = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000];
  assert.deepEqual(waitsOf(8, 0.5), bounds.map((b) => b / 2));
  waitsOf(8, ALMOST_ONE).forEach((wait, i) => assert.ok(wait < bounds[i] && wait > bounds[i] - 0.001, `wait ${i} is ${wait}`));
});

test("a thousand failures overflow nothing", () => {
  assert.ok(waitsOf(1100, 0.5).slice(6).every((wait) => wait === 5000));
});

test("the attempt comes when the wait is over and no earlier", () => {
  dice(0.5);
  open();
  FakeSocket.last.end();
  clock.tick(124);
  assert.equal(FakeSocket.made.length, 1);
  clock.tick(1);
  assert.equal(FakeSocket.made.length, 2);
});

test("a connection that lasted 5 s resets the back-off, a shorter one does not", () => {
  dice(0.5);
  const w = open();
  const again = (openMs) => {
    clock.tick(openMs);
    FakeSocket.last.end();
    const { afterMs } = w.last;
    clock.tick(afterMs);
    FakeSocket.last.greet("c7k2:1043", true);
    return afterMs;
  };
  assert.equal(again(0), 125);
  assert.equal(again(4_999), 250);
  assert.equal(again(0), 500);
  assert.equal(again(5_000), 125);
});

for (const code of [1008, 1013]) {
  test(`after ${code} the first wait is drawn from up to 4 s`, () => {
    dice(0.5);
    const w = open();
    FakeSocket.last.end(code, "later");
    assert.equal(w.last.afterMs, 2_000);
    assert.equal(w.last.state, "waiting");
  });
}

test("the server's hint is kept to the millisecond, whatever the dice say", () => {
  for (const random of [0, 0.5, ALMOST_ONE]) {
    dice(random);
    const w = open();
    FakeSocket.last.say({ reconnect: { afterMs: 23_456 } }).end(1001, "Server shutting down");
    const { state, afterMs, hinted, code, reason, cause } = w.last;
    assert.deepEqual({ state, afterMs, hinted, code, reason, cause },
      { state: "waiting", afterMs: 23_456, hinted: true, code: 1001, reason: "Server shutting down", cause: "lost" });
    const before = FakeSocket.made.length;
    clock.tick(23_455);
    assert.equal(FakeSocket.made.length, before);
    clock.tick(1);
    assert.equal(FakeSocket.made.length, before + 1);
    w.line.close();
  }
});

test("the hint counts from its arrival, so that a slow closing handshake delays nothing", () => {
  const w = open();
  FakeSocket.last.say({ reconnect: { afterMs: 1_000 } });
  clock.tick(400);
  assert.equal(w.line.state, "open");
  FakeSocket.last.end(1001);
  assert.equal(w.last.afterMs, 600);
  clock.tick(600);
  FakeSocket.last.greet("c7k2:1043", true).say({ reconnect: { afterMs: 100 } });
  clock.tick(700);
  FakeSocket.last.end(1001);
  assert.equal(w.last.afterMs, 0);
});

test("a hint is for one return only", () => {
  dice(0.5);
  const w = open();
  FakeSocket.last.say({ reconnect: { afterMs: 7_000 } }).end(1001);
  clock.tick(7_000);
  FakeSocket.last.end();
  assert.deepEqual([w.last.hinted, w.last.afterMs, w.last.attempt], [false, 125, 1]);
});

test("what is no hint is none", () => {
  dice(0.5);
  for (const afterMs of ["500", null, -1, undefined, {}]) {
    const w = open();
    FakeSocket.last.say({ reconnect: { afterMs } }).end(1001);
    assert.ok(w.last.afterMs <= 125, `${afterMs} led to ${w.last.afterMs}`);
    w.line.close();
  }
});

test("a hint of years does not overflow the timer", () => {
  open();
  FakeSocket.last.say('{"reconnect":{"afterMs":1e300}}').end(1001);
  assert.equal([...clock.timers.values()].at(-1).at - clock.now, 2 ** 31 - 1);
});

test("a refused upgrade, of which a browser shows nothing but 1006, backs off", () => {
  dice(0.5);
  const w = watch();
  w.line.connect();
  clock.tick(0);
  FakeSocket.last.end();
  const { state, cause, code, attempt, openMs } = w.last;
  assert.deepEqual({ state, cause, code, attempt, openMs }, { state: "waiting", cause: "refused", code: 1006, attempt: 1, openMs: 0 });
});

test("no answer, or no greeting, for 10 s is a failure, and what comes late is not heard", () => {
  for (const [cause, begin] of [["timeout", () => {}], ["silent", (s) => s.upgrade()]]) {
    const w = watch();
    w.line.connect();
    clock.tick(0);
    const socket = FakeSocket.last;
    begin(socket);
    clock.tick(9_999);
    assert.equal(w.line.state, "connecting");
    clock.tick(1);
    assert.deepEqual([w.last.state, w.last.cause, socket.closing.code], ["waiting", cause, 1000]);
    const { length } = w.events;
    socket.greet("c7k2:1").say({ message: 1, position: "c7k2:2" }).end();
    assert.equal(w.events.length, length);
    w.line.close();
  }
});

test("what answers without a greeting is no Fairlead", () => {
  for (const first of ["welcome", '{"message":1}', "null", "[]", '"ok"', "5"]) {
    const w = watch();
    w.line.connect();
    clock.tick(0);
    FakeSocket.last.upgrade().say(first);
    assert.deepEqual([w.last.state, w.last.cause], ["waiting", "greeting"], first);
    w.line.close();
  }
});

test("1002, 1007 and 1009 end it, 1008 and all others do not", () => {
  for (const code of [1000, 1001, 1003, 1005, 1006, 1008, 1011, 1012, 1013, 4000]) {
    const w = open();
    FakeSocket.last.end(code);
    assert.equal(w.line.state, "waiting", code);
    w.line.close();
  }
  for (const code of [1002, 1007, 1009]) {
    const w = open();
    FakeSocket.last.end(code, "too much");
    assert.deepEqual([w.last.state, w.last.code, w.last.reason], ["closed", code, "too much"]);
    assert.equal(clock.timers.size, 0);
  }
});

test("which codes end it can be chosen, and a hint overrules them", () => {
  const w = open({ fatal: [1008] });
  FakeSocket.last.end(1009);
  assert.equal(w.line.state, "waiting");
  clock.tick(1e4);
  FakeSocket.last.greet("c7k2:1043", true).end(1008);
  assert.equal(w.line.state, "closed");

  const hinted = open({ fatal: [1001] });
  FakeSocket.last.say({ reconnect: { afterMs: 5 } }).end(1001);
  assert.equal(hinted.line.state, "waiting");
});

test("after a fatal close connect() resumes where it was", () => {
  const w = open();
  FakeSocket.last.say({ message: 1, position: "c7k2:1044" }).end(1009);
  w.line.connect();
  clock.tick(0);
  assert.equal(FakeSocket.last.since, "c7k2:1044");
});

test("retryNow ends a wait, even a hinted one, and is nothing otherwise", () => {
  const w = watch();
  w.line.retryNow();
  w.line.connect();
  w.line.retryNow();
  clock.tick(0);
  w.line.retryNow();
  assert.equal(FakeSocket.made.length, 1);
  FakeSocket.last.greet("c7k2:1").say({ reconnect: { afterMs: 60_000 } }).end(1001);
  w.line.retryNow();
  assert.equal(FakeSocket.made.length, 2);
  FakeSocket.last.greet("c7k2:1", true);
  clock.tick(60_000);
  assert.equal(FakeSocket.made.length, 2, "the wait's own timer is gone");
});

// A page, as far as the client looks at it.
function page(t) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.document = document;
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.document;
  });
  return {
    online: () => window.dispatchEvent(new Event("online")),
    show: (state) => {
      document.visibilityState = state;
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

test("a network that returns, or a tab that is shown, ends a long wait within 250 ms", (t) => {
  const { online, show } = page(t);
  dice(0.9);
  const w = watch();
  w.line.connect();
  clock.tick(0);
  for (const wake of [online, () => show("visible")]) {
    FakeSocket.last.end(1013);
    assert.ok(w.last.afterMs >= 225);
    show("hidden");
    const before = FakeSocket.made.length;
    wake();
    clock.tick(224);
    assert.equal(FakeSocket.made.length, before);
    clock.tick(1);
    assert.equal(FakeSocket.made.length, before + 1);
  }
});

test("a wake never lengthens a wait", (t) => {
  const { online } = page(t);
  dice(0.5);
  const w = open();
  FakeSocket.last.end();
  clock.tick(124);
  dice(0.9);
  online();
  clock.tick(1);
  assert.equal(w.line.state, "connecting");
});

test("a wake does not jump the server's queue, but notices that the time has come", (t) => {
  const { online, show } = page(t);
  const w = open();
  FakeSocket.last.say({ reconnect: { afterMs: 5_000 } }).end(1001);
  clock.tick(1_000);
  online();
  show("visible");
  clock.tick(3_999);
  assert.equal(w.line.state, "waiting");
  clock.now += 60_000; // the machine slept, and timers with it
  for (const timer of clock.timers.values()) timer.at += 60_000;
  show("visible");
  clock.tick(0);
  assert.equal(w.line.state, "connecting");
});

test("wakes mean nothing to a connection that is open or closed", (t) => {
  const { online, show } = page(t);
  const w = open();
  online();
  show("visible");
  w.line.close();
  online();
  show("visible");
  clock.tick(60_000);
  assert.equal(FakeSocket.made.length, 1);
});

test("a wake, and connecting anew, begin the back-off from its start", (t) => {
  const { online } = page(t);
  dice(0.5);
  const w = watch();
  for (const restart of [() => online(), () => w.line.close() ?? w.line.connect()]) {
    w.line.connect();
    for (let i = 0; i < 5; i++) {
      clock.tick(10_000);
      FakeSocket.last.end();
    }
    restart();
    clock.tick(125);
    FakeSocket.last.end();
    assert.equal(w.last.afterMs, 125);
  }
});
