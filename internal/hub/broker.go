package hub

// Broker carries messages between tasks and orders them: it gives every message of a channel its number, and hands the messages
// of a channel to every task that subscribed, each task in the order of those numbers.
//
// The interface suits a broker across the network: Publish may answer later and from any goroutine, requests may be pipelined,
// and messages published by this task come back through the Sink like everybody else's, so that one order holds for all.
// Whoever makes a broker closes it, after the hub.
type Broker interface {
	// Publish takes one message for a channel, whether or not anyone subscribed to it here. Two calls from one goroutine keep
	// their order. The payload is the broker's from here on.
	//
	// done is called exactly once, possibly before Publish returns and from any goroutine, and with no lock of the broker held:
	// nil means the message has its place in the channel; an error that wraps ErrUnavailable means it is not known to have one.
	// done is never nil and does not block.
	//
	// Publish may wait when too much is under way; that is how senders are slowed down. It must not wait for the caller.
	Publish(channel string, payload []byte, done func(error))

	// Subscribe says that channel has its first subscriber in this task: every message that Publish takes from now on goes to
	// s. It is a hint in so far as the subscription may take effect later; until then nothing must reach s. The hub calls it
	// with a lock held: it must not block, and must not call s before it returns.
	Subscribe(channel string, s Sink)

	// Unsubscribe says that channel has no subscriber in this task any more. The sink it had takes no further message, though
	// it puts up with being handed some. Called like Subscribe, and in turn with it: the hub never subscribes to a channel twice.
	Unsubscribe(channel string)
}

// Sink takes the messages of one channel for one subscription. Each subscription has its own, so that what a broker still had
// under way for an earlier subscription of the same channel cannot get in among the messages of a later one.
type Sink interface {
	// Receive takes the next message; the broker sets Payload and Seq. Calls are serial and in the order of Seq, without gaps:
	// a broker that sees a gap fills it before it goes on.
	//
	// Receive waits while the channel is full (Options.MaxPendingBytes). What it waits for is fan-out passes alone, never a
	// poller or a broker, so it always gets on; a broker that reads its messages from a socket should simply stop reading
	// meanwhile. The error is nil or ErrClosed; on an error the message was not taken and its number is free.
	Receive(m Message) error
}
