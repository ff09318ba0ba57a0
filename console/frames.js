// A message's text inside its frame, and the close codes in words.

const MESSAGE = '{"message":';

/**
 * bodyOf is the message as it was sent, cut out of its frame rather than parsed and printed again: that would turn 1.0 into 1
 * and round large integers, and a console must show what is really there.
 */
export function bodyOf({ text, position, value }) {
  const end = position === null ? "}" : `,"position":${JSON.stringify(position)}}`;
  if (text.startsWith(MESSAGE) && text.endsWith(end)) return text.slice(MESSAGE.length, -end.length);
  return JSON.stringify(value);
}

// RFC 6455 section 7.4.1 and the IANA registry; the words say what it means on this server.
const CODES = {
  1000: ["normal", "Closed in good order."],
  1001: ["going away", "The task is going away: a deploy, a scale-in or a restart."],
  1002: ["protocol error", "The server saw a broken WebSocket frame. A proxy in between may be altering the stream."],
  1003: ["unsupported data", "The server does not take this type of frame."],
  1005: ["no code", "The other side closed without saying why."],
  1006: ["broken off", "The connection broke without a goodbye: the network, an idle timeout of a proxy, or a task that crashed."],
  1007: ["invalid text", "A text message was not valid UTF-8."],
  1008: ["policy", "The server ended it by policy, most often because of too many messages for too long."],
  1009: ["too big", "The message was larger than the server accepts."],
  1010: ["missing extension", "An extension that was asked for is not offered."],
  1011: ["internal error", "The server met an error of its own; its log says more."],
  1012: ["restart", "The server is restarting."],
  1013: ["try again later", "The server is overloaded, or this tab read too slowly."],
  1014: ["bad gateway", "A gateway in between got a bad answer from the server."],
  1015: ["TLS failure", "The TLS handshake failed."],
};

/** closeWords gives {name, words} for a close code. */
export function closeWords(code) {
  if (CODES[code]) return { name: CODES[code][0], words: CODES[code][1] };
  if (code >= 4000) return { name: "application", words: "A code private to the application." };
  if (code >= 3000) return { name: "library", words: "A code registered by a library or framework." };
  return { name: "unknown", words: "A code this console does not know." };
}
