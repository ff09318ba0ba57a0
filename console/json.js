// JSON as text: where it is wrong, and how to lay it out without changing a character of its values.

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

const WANT = {
  value: "a value",
  first: "a value or ]",
  key: 'a "name" in double quotes',
  firstKey: 'a "name" in double quotes or }',
  colon: "a colon after the name",
  "[": "a comma or ]",
  "{": "a comma or }",
  end: "nothing more",
};

/**
 * findFault returns null for valid JSON, else {line, column, words}. Browsers word their errors differently and only some
 * give a position, so the place is found here; JSON.parse stays the judge of whether there is a fault at all.
 */
export function findFault(text) {
  try {
    JSON.parse(text);
    return null;
  } catch {
    return locate(text);
  }
}

// A loop with its own stack: nesting as deep as a message is long must not overflow ours.
function locate(text) {
  const open = [];
  let at = 0;
  let want = "value";
  const eat = (pattern) => {
    pattern.lastIndex = at;
    const hit = pattern.exec(text);
    if (hit) at = pattern.lastIndex;
    return hit !== null;
  };
  const afterValue = () => open.at(-1) ?? "end";
  for (;;) {
    eat(SPACE);
    const c = text[at];
    if (c === undefined || want === "end") return fault(text, at, want);
    if (want === "colon") {
      if (c !== ":") return fault(text, at, want);
      at++;
      want = "value";
    } else if (want === "[" || want === "{") {
      if (c === ",") want = want === "[" ? "value" : "key";
      else if (c === (want === "[" ? "]" : "}")) {
        open.pop();
        want = afterValue();
      } else return fault(text, at, want);
      at++;
    } else if ((want === "first" && c === "]") || (want === "firstKey" && c === "}")) {
      open.pop();
      want = afterValue();
      at++;
    } else if (want === "key" || want === "firstKey") {
      if (!eat(STRING)) return fault(text, at, want);
      want = "colon";
    } else if (c === "[" || c === "{") {
      open.push(c);
      want = c === "[" ? "first" : "firstKey";
      at++;
    } else {
      if (!eat(STRING) && !eat(SCALAR)) return fault(text, at, want);
      want = afterValue();
    }
  }
}

function fault(text, at, want) {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = at - before.lastIndexOf("\n");
  return { line, column, words: explain(text, at, want) };
}

function explain(text, at, want) {
  const c = text[at];
  if (c === undefined) return text.trim() === "" ? "nothing to send yet" : `it ends too early: ${WANT[want]} is missing`;
  if (c === '"' && want !== "colon" && want !== "[" && want !== "{" && want !== "end") {
    return "this text is not closed, or holds a line break or an unknown \\ escape";
  }
  if (c === "'") return "JSON uses double quotes";
  if ((c === "]" && want === "value") || (c === "}" && want === "key")) return `remove the comma before ${c}`;
  const word = /^[\w$.+-]+/.exec(text.slice(at, at + 40))?.[0] ?? c;
  if (want === "value" || want === "first") return `${word} is not a JSON value; text needs double quotes`;
  if (want === "end") return `the JSON is complete before ${word}; one message is one value`;
  return `expected ${WANT[want]}, found ${word}`;
}

/** compact drops the white space between tokens of valid JSON and nothing else. */
export function compact(text) {
  return (text.match(TOKEN) ?? []).join("");
}

/** pretty lays valid JSON out over lines, token by token, so that numbers keep the digits they were sent with. */
export function pretty(text) {
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let out = "";
  const newline = () => "\n" + "  ".repeat(Math.min(depth, 40));
  tokens.forEach((token, i) => {
    if (token === "{" || token === "[") {
      const empty = tokens[i + 1] === "}" || tokens[i + 1] === "]";
      depth++;
      out += token + (empty ? "" : newline());
    } else if (token === "}" || token === "]") {
      const empty = tokens[i - 1] === "{" || tokens[i - 1] === "[";
      depth--;
      out += (empty ? "" : newline()) + token;
    } else if (token === ",") out += token + newline();
    else if (token === ":") out += ": ";
    else out += token;
  });
  return out;
}

const COLOURED = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|true|false|null/g;

/** paint appends text to a node with names, texts and other scalars in spans for colouring; punctuation stays bare. */
export function paint(node, text) {
  let at = 0;
  for (const hit of text.matchAll(COLOURED)) {
    if (hit.index > at) node.append(text.slice(at, hit.index));
    const span = document.createElement("span");
    span.className = hit[1] ? (hit[2] ? "j-name" : "j-text") : "j-lit";
    span.textContent = hit[1] ?? hit[0];
    node.append(span);
    at = hit.index + span.textContent.length;
  }
  if (at < text.length) node.append(text.slice(at));
}

const encoder = new TextEncoder();
export const utf8Length = (text) => encoder.encode(text).length;
