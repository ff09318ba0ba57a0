// Package hub holds the channels of one task and fans their messages out. It knows no socket, no HTTP, no JSON and no AWS: a
// subscriber is anything with a Deliver method, and an Encoder says what a message looks like on the wire.
//
// # Words
//
// A channel is a named stream of messages. A subscriber is joined to one channel through its Member, the few words of state
// that the hub needs for it; the session that owns the subscriber embeds the Member by value. A broker carries messages between
// tasks and gives each its number in the channel (Seq). A pass hands everything that waits in a channel to every subscriber of
// the channel, in one Deliver call each.
//
// # The way of a message
//
//	Publish → Broker.Publish → (the broker numbers it) → Sink.Receive → the channel's pending list → run queue → pass → Deliver
//
// The first message that waits in a channel puts the channel into the run queue, and a worker starts its pass at once: no timer
// holds messages back to make batches larger. Batches grow by themselves under load, because what arrives during a pass waits
// for the next. Each form's batch is encoded in the pass's first delivery that wants it, once, and shared by all: a delivery
// allocates nothing, and a pass allocates in proportion to its forms, never to its subscribers.
//
// # What is guaranteed
//
//   - Every subscriber of a channel is handed the channel's messages in the same order, the order of Seq, each once.
//   - A subscriber is handed every message that is published after its Join returned, and of those that raced with Join either
//     none or the last few: always a run without a gap. If it joins between a message and its pass, it is handed the rest of
//     that pass's batch only.
//   - After Leave a subscriber is handed nothing but the batch of a pass that had already begun.
//   - A subscriber's Deliver calls never overlap, and what one of them wrote the next one sees.
//   - No message is dropped silently: a full channel makes its publishers wait, see Options.MaxPendingBytes.
//   - Between channels nothing is ordered.
//
// # How a pass stays lock-free
//
// When a pass begins it freezes the channel's member slice. Until it ends, joins go to one side list and leaves to another, and
// both are merged under the channel's lock at the end; in between, any number of workers read the slice without a lock. Copying
// the slice per pass was rejected (120 KB per message in a lobby of 15,000), and so was holding a read lock (an upgrade would
// wait for 15,000 writes).
//
// # Who runs a pass
//
// As many workers as GOMAXPROCS, started when there is something to do and gone when there is not, so that an idle channel, and
// an idle hub, own no goroutine. The run queue is first in, first out, and what a worker takes from it is a turn: up to 256
// deliveries of one channel. A large pass has one ticket for each worker that may help, and a ticket goes to the back of the
// queue after each turn; so the small channel that becomes busy during a pass over 15,000 subscribers waits for one turn, not for
// the pass. The worker that gives back the last ticket ends the pass; nobody ever waits for a helper. One goroutine for each
// busy channel was rejected: it is simpler and as fair, but 15,000 private channels that speak at once would be 15,000 stacks,
// and resident memory is this server's first number.
//
// # Locking order
//
//	Memory's stream.mu → channel.mu → queue.mu
//	Hub.mu → channel.mu → queue.mu
//	Hub.mu → the broker's lock around Subscribe and Unsubscribe (Memory.mu)
//
// stream.mu and Hub.mu are never held together by one goroutine. work.encoding is held around calls of the Encoder and nothing
// else. No lock is held around Deliver, Options.OnPass or the done function of Publish.
package hub
