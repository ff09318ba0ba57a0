package hub

import "context"

// Broker carries messages between tasks and orders them: it gives every message of a channel its position, and hands the messages
// of a channel to every task that subscribed, each task in the order of those positions.
//
// The interface suits a broker across the network: Publish may answer later and from any goroutine, requests may be pipelined,
// and messages published by this task come back through the Sink like everybody else's, so that one order holds for all.
// Whoever makes a broker closes it, after the hub.
type Broker interface {
	// Publish takes one message for a channel, whether or not anyone subscribed to it here. Two calls from one goroutine keep
	// their order. The payload is the broker's from here on.
	//
	// key is the publisher's idempotency key; "" is none. As long as the history window holds a message of the channel that was
	// published with the same key, Publish gives that message's position and takes no second one.
	//
	// done is called exactly once, possibly before Publish returns and from any goroutine, and with no lock of the broker held:
	// with the message's position if it has its place in the channel; or with an error that wraps ErrUnavailable, if it is not
	// known to have one. done is never nil and does not block.
	//
	// Publish may wait when too much is under way; that is how senders are slowed down. It must not wait for the caller.
	Publish(channel string, payload []byte, key string, done func(Position, error))

	// Subscribe says that this task wants the channel's messages: s.Live or s.Down follows, and after Live every message from
	// then on. The hub calls it with a lock held: it must not block. It may call s.Live or s.Down before it returns, but not
	// s.Receive.
	Subscribe(channel string, s Sink)

	// Unsubscribe says that this task does not want the channel any more. The sink it had takes no further call to heart, though
	// it puts up with some. Called like Subscribe, and in turn with it: the hub never subscribes to a channel twice.
	Unsubscribe(channel string)

	// History returns what the broker still has of a channel after a position. The zero Position asks for the head alone. It may
	// block; the error wraps ErrUnavailable, or is that of ctx.
	History(ctx context.Context, channel string, after Position) (History, error)
}

// History is what a broker has of a channel's past.
type History struct {
	// Head is the position of the channel's last message; the zero Position if the broker does not know the channel.
	Head Position

	// Messages are those after the position asked for: contiguous from its offset + 1, to Head at most. A broker may stop
	// earlier, having returned at least one; it is asked again.
	Messages []Message

	// Complete says that continuity with the position asked for is proved. Otherwise (another epoch, trimmed, unknown)
	// Messages is empty.
	Complete bool
}

// Sink takes the messages of one channel for one subscription. Each subscription has its own, so that what a broker still had
// under way for an earlier subscription of the same channel cannot get in among the messages of a later one. The calls for one
// sink are serial.
type Sink interface {
	// Live says that the subscription has taken effect: the next Receive brings the message after head. It is called once after
	// Subscribe, and again after each interruption. If head is then where Receive had got to, nothing was lost (the broker
	// filled the gap by Receive first). If it is not, continuity is broken: the hub forgets the channel's window and parts from
	// its resumable members (Subscriber.Lost), so that they come back and resume; plain members stay. head has an epoch always.
	// It does not wait, but it calls Lost.
	Live(head Position)

	// Receive takes the next message; the broker sets Payload and Position. Calls come in the order of positions, contiguous
	// since Live: a broker that sees a gap fills it before it goes on, or calls Live with the position after the gap. A message
	// that does not follow is a fault of the broker; the hub treats it as if Live had been called just before, with the position
	// before the message. One that has been received already is passed over.
	//
	// Receive waits while the channel is full (Options.MaxPendingBytes). What it waits for is fan-out passes alone, never a
	// poller or a broker, so it always gets on; a broker that reads its messages from a socket should simply stop reading
	// meanwhile. The error is nil or ErrClosed; on an error the message was not taken and its offset is free.
	Receive(m Message) error

	// Down says that the broker is not reachable, or took too long to tell whether the subscription has taken effect. Until
	// Live, Enter fails for resumable members with an error that wraps ErrUnavailable and err; members stay. Filling a gap by
	// Receive before Live is fine.
	Down(err error)
}
