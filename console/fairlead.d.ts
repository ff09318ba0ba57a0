// Types of fairlead.js, and its reference. Times are in milliseconds. docs/client.md has the guide.

/** What a handler of "message" gets. The client's position moves on when all handlers have returned, not before. */
export interface FairleadMessage<T = unknown> extends Event {
  readonly type: "message";
  /** The message, parsed. */
  readonly value: T;
  /** Its position; opaque. null in plain mode. */
  readonly position: string | null;
  /** The whole frame as it came, for those who must not round a large number. */
  readonly text: string;
}

/** Why there is no connection:
 *  - `lost`: it was open, or at least upgraded, and ended; `code` and `reason` are those of the close
 *  - `refused`: the attempt failed. A browser does not tell an HTTP refusal from a network that is down
 *  - `timeout`, `silent`: 10 s without an answer to the upgrade, or without a greeting after it
 *  - `greeting`: what answered is no Fairlead
 */
export type FairleadCause = "lost" | "refused" | "timeout" | "silent" | "greeting";

export interface FairleadConnecting extends Event {
  readonly type: "state";
  readonly state: "connecting";
  /** 1 for the first since the connection was last open. */
  readonly attempt: number;
}

export interface FairleadOpen extends Event {
  readonly type: "state";
  readonly state: "open";
  /** Which attempt it was that succeeded. */
  readonly attempt: number;
  /** The position in the greeting; null from a server in plain mode. */
  readonly position: string | null;
  /** False in plain mode, and when the server knows no positions. */
  readonly resumable: boolean;
}

export interface FairleadWaiting extends Event {
  readonly type: "state";
  readonly state: "waiting";
  /** How long until the next attempt, from now. */
  readonly afterMs: number;
  /** Whether the server named that time. */
  readonly hinted: boolean;
  readonly cause: FairleadCause;
  /** Close code; 1006 when there was no close frame. */
  readonly code: number;
  readonly reason: string;
  /** How long the connection had been open; 0 for an attempt that failed. */
  readonly openMs: number;
  /** Attempts that failed since the connection was last open; 0 when it has just been lost. */
  readonly attempt: number;
}

export interface FairleadClosed extends Event {
  readonly type: "state";
  readonly state: "closed";
  /** 1000 after close() or an abort, a code of `fatal`, or 1006 when the platform refuses the URL. */
  readonly code: number;
  readonly reason: string;
}

export type FairleadState = FairleadConnecting | FairleadOpen | FairleadWaiting | FairleadClosed;

/** Back, and every message after `position` follows, once and in order. */
export interface FairleadResumed extends Event {
  readonly type: "resumed";
  readonly position: string;
}

/** Back, but what came after `from` and up to `to` will never be delivered. null: not known, because a server without positions
 *  answered, now (`to`) or last time (`from`). */
export interface FairleadGap extends Event {
  readonly type: "gap";
  readonly from: string | null;
  readonly to: string | null;
}

/** The server did not take what this client sent. The connection stays open. */
export interface FairleadError extends Event {
  readonly type: "error";
  /** invalid_json, rate_limited, unavailable, or one that came later than this file. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** A frame that is none of the above: a newer server's. */
export interface FairleadFrame extends Event {
  readonly type: "frame";
  readonly text: string;
}

export interface FairleadEventMap<T = unknown> {
  message: FairleadMessage<T>;
  state: FairleadState;
  resumed: FairleadResumed;
  gap: FairleadGap;
  error: FairleadError;
  frame: FairleadFrame;
}

/** As much of a WebSocket as is used: the browser's, Node's own, or that of the package ws. */
export interface FairleadSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface FairleadOptions {
  /** Start after this position, which was kept from an earlier visit. Default "now", or the `since` in the URL. */
  since?: string;
  /** false: plain mode, no positions, no `resumed` and no `gap`. Default true. */
  resume?: boolean;
  /** Close codes after which it stays closed. Default [1002, 1007, 1009]: what would only happen again. A reconnect hint overrules it. */
  fatal?: readonly number[];
  /** close() when it is aborted. */
  signal?: AbortSignal;
  /** Where there is no global WebSocket: before Node 22. */
  WebSocket?: new (url: string) => FairleadSocket;
}

/** One channel, kept open. T is the type of its messages, which is taken on trust. */
export class Fairlead<T = unknown> extends EventTarget {
  /** The URL may be relative to the page, and http: or https:. Its query is kept byte for byte, but for `since`.
   *  Throws TypeError for what is no URL, or without any WebSocket. Nothing is opened yet. */
  constructor(url: string | URL, options?: FairleadOptions);

  readonly state: FairleadState["state"];
  /** Of the last message whose handlers have returned, or where the connection began; null before that and in plain mode. */
  readonly position: string | null;
  /** Whether the server that was last connected knows positions. */
  readonly resumable: boolean;
  /** Bytes that were sent and are not on the wire yet. */
  readonly backlog: number;

  /** Opens, and keeps open until close(). After a close it resumes where it was. Does nothing when it is not closed, or aborted. */
  connect(): this;
  /** Ends it and stays closed. The reason, at most 123 bytes, is for the server's log. */
  close(reason?: string): void;
  /** Ends the present wait, hinted or not. For a button: wherever a program would call it, waiting is right. */
  retryNow(): void;
  /** Sends a value as JSON. false: not open, and nothing is queued. true is no receipt: that is the message coming back.
   *  Throws TypeError for what has no JSON form. */
  send(value: unknown): boolean;
  /** The same for what is JSON already. */
  sendText(text: string): boolean;

  addEventListener<K extends keyof FairleadEventMap<T>>(
    type: K,
    listener: (this: this, event: FairleadEventMap<T>[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof FairleadEventMap<T>>(
    type: K,
    listener: (this: this, event: FairleadEventMap<T>[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
