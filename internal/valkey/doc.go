// Package valkey is the broker that carries messages between tasks through Valkey or Redis 7.0 and later, alone or as a cluster. It
// implements hub.Broker.
//
// # Keys
//
// P is the prefix ("fairlead:"), CH the channel. All keys of a channel share the hash tag {CH}, so that they live on one server
// of a cluster and one script may use them.
//
//	P{CH}        string  meta: "EPOCH OFFSET BYTES MARKED-MS MARKED-BYTES", the channel's head and what trimming needs.
//	                     Lives a day after the last message or the last look of a task that subscribes to it.
//	P{CH}:s      stream  the history window: entry OFFSET-0, field p = payload. Lives 9/8 of the history age at most.
//	P{CH}:t      string  marks: "MS OFFSET BYTES;…", at most some 17; when which message was appended, for trimming by age and bytes
//	P{CH}:k:KEY  string  the position that the message with idempotency key KEY got. Lives the history age.
//
// # Wire
//
//	channel P{CH}      "EPOCH:OFFSET LEN,LEN,… PAYLOADS": the position of the first of some messages that follow one another, their
//	                   lengths, and they. Published by the script that appended them; by SPUBLISH on a cluster
//	channel P{~}       "ask ID TASK CH": every task answers on P{~TASK} how many subscribers of CH it has
//	channel P{~TASK}   "ID COUNT": answers to TASK. The tilde is in no channel's name
//
// # Why nothing is lost, doubled or reordered
//
// One script gives the offset, appends and publishes, so that the order of offsets is the order of the stream and of pub/sub.
// Pub/sub is only the fast path: it may lose messages and says nothing about it. What is delivered is decided by offset. The next
// offset is delivered, a lower one is dropped, and anything else makes the channel "behind": it is read from the stream, in one
// script that returns head and messages of the same instant. If the stream cannot join on to what was delivered, continuity is
// broken, and the sink is told so (Live with a head it does not expect). The same path serves the first subscription, a
// reconnect, a slot that moves to another server, a lost message, and one that was lost last and has no successor to show the
// gap (heads are compared every few seconds).
//
// A server that lost messages, because it was restored or a lagging replica took over, has an offset below what was delivered, or
// another message at the same offset. Whoever sees that begins a new epoch on the server itself, so that every position of the
// lost time dies with the old one.
//
// # Goroutines
//
// One lane publishes for a single server, or 32 by slot for a cluster. Each server has one goroutine that delivers and, while connected,
// one that subscribes and compares heads; the client library adds two for each of the two connections. There is none for a channel.
//
// # Locking order
//
//	hub.Hub.mu → Broker.mu → shard.mu
//	subscription.mu → hub channel.mu
//
// No Broker.mu, shard.mu, lane.mu or room.mu is held around a call of a sink or of done. subscription.mu is, so that the calls for a sink
// are serial while a slot moves; nothing that the hub may wait for takes it.
package valkey
