// What a program in TypeScript writes, and what the compiler must object to. Checked, never run.

import { Fairlead, type FairleadCause, type FairleadState } from "../../console/fairlead.js";

interface Fix {
  ship: string;
  at: [number, number];
}

const abort = new AbortController();
const line = new Fairlead<Fix>("/wss?channel=harbour", {
  since: localStorage.getItem("position") ?? "now",
  signal: abort.signal,
  fatal: [1008],
}).connect();

line.addEventListener("message", ({ value, position, text }) => {
  const where: number = value.at[0];
  if (position !== null) localStorage.setItem("position", position);
  console.log(where, text.length);
});

line.addEventListener("state", (event) => console.log(words(event)), { once: true });

// Every state, told apart by its name: a missing one would not compile.
function words(event: FairleadState): string {
  switch (event.state) {
    case "connecting":
      return `attempt ${event.attempt}`;
    case "open":
      return event.resumable ? `at ${event.position}` : "plain";
    case "waiting": {
      const cause: FairleadCause = event.cause;
      return `${event.hinted} ${event.afterMs} ${cause} ${event.code} ${event.reason} ${event.openMs}`;
    }
    case "closed":
      return `${event.code} ${event.reason}`;
  }
}

line.addEventListener("gap", ({ from, to }) => console.log(from ?? "unknown", to ?? "unknown"));
line.addEventListener("resumed", ({ position }) => position.toUpperCase());
line.addEventListener("error", ({ code, message }) => console.log(code + message));
line.addEventListener("frame", ({ text }) => console.log(text));
const taken: boolean = line.send({ ship: "Arethusa", at: [54.3, 10.1] });
line.removeEventListener("gap", null);
line.close("done");
console.log(taken, line.sendText("1.0"), line.backlog, line.resumable);

// The browser's class fits where one can be given.
new Fairlead(new URL("wss://h/wss"), { WebSocket, resume: false }).retryNow();

// @ts-expect-error there is no such option
new Fairlead("/wss", { reconnect: true });
// @ts-expect-error the position is the client's to move
line.position = "a:1";
// @ts-expect-error a position may be missing
line.addEventListener("message", ({ position }) => position.length);
// @ts-expect-error it is not a promise
line.connect().then(() => {});
// @ts-expect-error state has no such name
line.state === "reconnecting";
