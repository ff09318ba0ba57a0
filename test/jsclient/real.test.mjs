// The client against the real server, through a wire that can be cut.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import net from "node:net";
import { after, test } from "node:test";
import { Fairlead } from "./fakes.mjs";

const { FAIRLEAD_ADDR: addr, FAIRLEAD_KEY: key, FAIRLEAD_SOCKET: kind } = process.env;
const WebSocket = kind === "ws" ? createRequire(import.meta.url)("ws") : globalThis.WebSocket;

const lines = new Set();

// follow makes a client that keeps what it was told, and until(condition) which waits for it.
function follow(url, options) {
  const line = new Fairlead(url, { WebSocket, ...options });
  lines.add(line);
  const events = [];
  const waiting = new Set();
  for (const type of ["state", "message", "resumed", "gap", "error", "frame"]) {
    line.addEventListener(type, (e) => {
      events.push(e);
      for (const look of waiting) look();
    });
  }
  const of = (type) => events.filter((e) => e.type === type);
  const until = (condition) =>
    new Promise((resolve) => {
      const look = () => {
        const found = condition();
        if (!found) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const state = (name, more = () => true) => until(() => events.findLast((e) => e.state === name && more(e)));
  return { line, events, of, until, state, values: () => of("message").map((e) => e.value) };
}

after(() => lines.forEach((line) => line.close()));

// wire leads to the server; cut() breaks what goes through it, held wires take nobody.
async function wire(t) {
  const open = new Set();
  const server = net.createServer((near) => {
    if (w.held) return near.destroy();
    const far = net.connect(Number(addr.split(":")[1]), addr.split(":")[0]);
    for (const [a, b] of [[near, far], [far, near]]) {
      open.add(a);
      a.on("error", () => {});
      a.on("close", () => open.delete(a) && b.destroy());
      a.pipe(b);
    }
  });
  const w = { held: false, cut: () => open.forEach((s) => s.destroy()) };
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  w.addr = `127.0.0.1:${server.address().port}`;
  t.after(() => {
    w.cut();
    server.close();
  });
  return w;
}

async function publish(channel, value) {
  const answer = await fetch(`http://${addr}/channels/${channel}/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  assert.equal(answer.status, 202);
  return (await answer.json()).position;
}

test("what is sent comes back with its position, the same for everybody", async () => {
  const [a, b] = ["a", "b"].map(() => follow(`ws://${addr}/wss?channel=same`));
  a.line.connect();
  b.line.connect();
  await a.state("open");
  await b.state("open");
  assert.ok(a.line.resumable && a.line.position);
  for (const value of [1, null, { n: "é" }]) assert.equal(a.line.send(value), true);
  const position = await publish("same", "from a backend");
  for (const w of [a, b]) await w.until(() => w.of("message").length === 4);
  assert.deepEqual(new Set(a.values().map((v) => JSON.stringify(v))), new Set(["1", "null", '{"n":"é"}', '"from a backend"']));
  assert.deepEqual(a.of("message").map((e) => e.text), b.of("message").map((e) => e.text));
  assert.equal(a.of("message").find((e) => e.value === "from a backend").position, position);
  assert.equal(a.line.position, a.of("message").at(-1).position);
});

test("a wire that is cut again and again loses nothing and brings nothing twice", async (t) => {
  const w = await wire(t);
  const c = follow(`ws://${w.addr}/wss?channel=cut`);
  c.line.connect();
  await c.state("open");
  const want = [];
  for (let i = 1; i <= 300; i++) {
    await publish("cut", i);
    want.push(i);
    if (i % 20 === 5) w.cut();
    // Its back-off, which grows with so many cuts, is another test's matter.
    if (i % 20 === 15) c.line.retryNow();
  }
  await c.until(() => c.values().at(-1) === 300);
  assert.deepEqual(c.values(), want);
  assert.deepEqual(c.of("gap"), []);
  assert.ok(c.of("resumed").length >= 3, `${c.of("resumed").length} resumes`);
});

test("closed for a while and connected again, it gets what was said meanwhile", async () => {
  const c = follow(`ws://${addr}/wss?channel=later`);
  c.line.connect();
  await c.state("open");
  c.line.close();
  for (let i = 0; i < 5; i++) await publish("later", i);
  c.line.connect();
  await c.until(() => c.values().length === 5);
  assert.deepEqual(c.values(), [0, 1, 2, 3, 4]);
  assert.equal(c.of("resumed").length, 1);
});

test("a position that was kept elsewhere is where another client goes on", async () => {
  const from = await publish("kept", "seen");
  await publish("kept", "missed");
  const c = follow(`ws://${addr}/wss?channel=kept`, { since: from });
  c.line.connect();
  await c.until(() => c.values().length === 1);
  assert.deepEqual([c.values(), c.of("resumed")[0].position], [["missed"], from]);
});

// The server of this test keeps 500 messages.
test("away for longer than the window it is told of the gap, and goes on from there", async (t) => {
  const w = await wire(t);
  const c = follow(`ws://${w.addr}/wss?channel=window`);
  c.line.connect();
  await c.state("open");
  const from = await publish("window", "before");
  await c.until(() => c.values().length === 1);
  w.held = true;
  w.cut();
  await c.state("waiting");
  let to;
  for (let i = 0; i < 60; i++) to = (await Promise.all(Array.from({ length: 10 }, () => publish("window", "lost")))).at(-1);
  to = await publish("window", "the last of the lost");
  w.held = false;
  c.line.retryNow();
  await c.until(() => c.of("gap").length === 1);
  const [gap] = c.of("gap");
  assert.deepEqual([gap.from, gap.to], [from, to]);
  await publish("window", "after");
  await c.until(() => c.values().length === 2);
  assert.deepEqual(c.values(), ["before", "after"]);
});

test("what never was a position is refused before the upgrade", async () => {
  const c = follow(`ws://${addr}/wss?channel=odd`, { since: "not a position" });
  c.line.connect();
  const { cause, code } = await c.state("waiting");
  assert.deepEqual([cause, code], ["refused", 1006]);
});

test("the server's word on bad JSON arrives, and the connection stays", async () => {
  const c = follow(`ws://${addr}/wss?channel=errors`);
  c.line.connect();
  await c.state("open");
  c.line.sendText("{nope");
  await c.until(() => c.of("error").length === 1);
  assert.equal(c.of("error")[0].code, "invalid_json");
  c.line.send("fine");
  await c.until(() => c.values().length === 1);
});

test("a message that is too big ends it with 1009, and it can be connected again", async () => {
  const c = follow(`ws://${addr}/wss?channel=big`);
  c.line.connect();
  await c.state("open");
  c.line.send("x".repeat(70_000));
  assert.equal((await c.state("closed")).code, 1009);
  c.line.connect();
  await c.until(() => c.of("resumed").length === 1);
});

test("plain mode carries the same messages without positions", async () => {
  const c = follow(`ws://${addr}/wss?channel=plain`, { resume: false });
  c.line.connect();
  assert.equal((await c.state("open")).resumable, false);
  await publish("plain", { x: 1 });
  await c.until(() => c.values().length === 1);
  assert.equal(c.of("message")[0].text, '{"message":{"x":1}}');
});
