// Package hub holds the channels of one task, fans their messages out, and keeps what a client needs that comes back. It knows no
// socket, no HTTP, no JSON and no AWS: a subscriber is anything with a Deliver method, and an Encoder says what a message looks like
// on the wire.
//
// # Words
//
// A channel is a named stream of messages. A subscriber is joined to one channel through its Member, the few words of state
// that the hub needs for it; the session that owns the subscriber embeds the Member by value. A broker carries messages between
// tasks and gives each its Position in the channel. A pass hands everything that waits in a channel to every subscriber of
// the channel, in one Deliver call each. A window is a channel's last messages, kept for those who resume.
//
// # The way of a message
//
//	Publish → Broker.Publish → (the broker numbers it) → Sink.Receive → window, and pending list → run queue → pass → Deliver
//
// The first message that waits in a channel puts the channel into the run queue, and a worker starts its pass at once: no timer
// holds messages back to make batches larger. Batches grow by themselves under load, because what arrives during a pass waits
// for the next. Each form's batch is encoded in the pass's first delivery that wants it, once, and shared by all: a delivery
// allocates nothing, and a pass allocates in proportion to its forms, never to its subscribers.
//
// # What is guaranteed
//
//   - Every subscriber of a channel is handed the channel's messages in the same order, the order of Position, each once.
//   - A subscriber is handed every message that comes after its place in the channel when it joined, and none before: for a
//     resumable one, all after Joined.Position. If it joins between a message and its pass, it is handed the rest of that pass's
//     batch only.
//   - Joined.Recovered is true only if the subscriber is handed every message after the position that it came with, by Replay and
//     Deliver, without a gap. There is no partial replay.
//   - A resumable subscriber is never handed a message that does not follow the last: it is Lost instead.
//   - After Leave or Lost a subscriber is handed nothing but the batch of a pass that had already begun, which does follow.
//   - A subscriber's Deliver calls never overlap, and what one of them wrote the next one sees.
//   - No message is dropped silently: a full channel makes its publishers wait, see Options.MaxPendingBytes.
//   - Between channels nothing is ordered.
//
// # Positions and windows
//
// A channel's head is the position of the last message received; the broker's Live sets it, Receive moves it on by one. The window
// is the run that ends at the head, so that the head and the window's length say which offsets it holds. Joining, and the look at
// the head and the window that goes with it, are one step under the channel's lock: what is at the head or before is the replay's,
// what comes after is the passes'. Frames of a replay are encoded after that, without the lock: the entries of a window's block are
// never changed, and whoever took hold of a block may go on reading it when the window has moved on.
//
// Enter does what may wait. If the window does not reach back far enough, it gets the rest from the broker and puts it in front of
// the window, as far as it fits, for all the others that return to this task. By the time of Join the window may have moved on
// beyond that, in which case the subscriber is not recovered; nothing is claimed that Join itself did not see.
//
// A subscriber that comes with more than this task has received (another task was faster) waits in past.ahead, and joins when the
// head is where it is. Enter asks the broker before, or a made-up position would silence its owner for ever.
//
// # When continuity breaks
//
// If Live, or a message, does not follow the head, the window is dropped, and resumable members are taken out and told, Lost. What
// is pending at that moment did follow: plain members are handed it, and then what comes after the gap. Resumable members are not,
// since to wait for that pass before Lost would mean to let later messages wait too; they resume, and get it from the broker if it
// has it. A pass under way goes on for them: it is part of the run that they have.
//
// # Who forgets what
//
//   - A window forgets by count, bytes and age (HistoryOptions), at each message and in Sweep. The memory of a block goes with its
//     last message.
//   - The hub forgets when TotalBytes is reached: the windows of channels without members, longest idle first; then the oldest
//     messages of the channel that grows.
//   - Frames of replays are forgotten with their block, or when no replay wanted them for a while.
//   - With Linger, a channel exists from its first Enter or Publish until it has had no member, entry or new message for Age. Sweep
//     removes it, or, when its window had to go for TotalBytes, earlier. One of which no position was ever told is removed at once.
//   - Without Linger, a channel is removed when its last member or entry is gone: the broker has the history.
//   - The memory broker forgets a channel when the hub unsubscribes, which is when it is removed. The next life has a new epoch, so
//     that whoever returns from the last one is told that it cannot resume.
//   - Idempotency keys of the memory broker live as long as their message is in the window.
//
// Time, for all of this, is what Sweep was told last.
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
// # What must hold
//
// Under channel.mu:
//
//   - A member is in exactly one list, the one that its where says, at its place.
//   - A message is in the window from the moment at which head counts it, and pending from the same moment if anyone is in the
//     member slice or joining: so a join sees each message on one side, and on one only.
//   - pins is raised with Hub.mu held, and a channel is removed with Hub.mu held and only if it is vacant: who has an Entry has a
//     channel that lives.
//   - past is there if there is anything in it, and the hub's totals hold what past.counted says.
//   - A channel is in the list of the idle if it lingers without anybody and its window was not evicted; its past stays until it is
//     out of the list.
//
// # Locking order
//
//	Hub.mu → Memory.mu → channel.mu → queue.mu
//	Memory's stream.mu → channel.mu → store.mu
//	past.replaying → channel.mu
//
// Live may be called within Subscribe, and so with Hub.mu held; Receive may be called with a lock of the broker that is also taken
// by Subscribe. So neither takes Hub.mu, and a channel that a break or an eviction emptied is left for Sweep to remove. Down is as
// Live. work.encoding and past.replaying are held around calls of the Encoder. No lock of the hub is held around Deliver, Lost,
// Options.OnPass, Broker.Publish and Broker.History, and done functions.
package hub
