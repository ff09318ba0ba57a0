// Follows a channel and writes every event as a line of JSON, until standard input ends.

import { createRequire } from "node:module";
import { Fairlead } from "./fakes.mjs";

const line = new Fairlead(process.env.FAIRLEAD_URL, { WebSocket: createRequire(import.meta.url)("ws") });
for (const type of ["state", "message", "resumed", "gap", "error", "frame"]) {
  line.addEventListener(type, (e) => {
    const { isTrusted, ...fields } = e;
    process.stdout.write(JSON.stringify({ type, ...fields }) + "\n");
  });
}
line.connect();
process.stdin.on("end", () => line.close()).resume();
