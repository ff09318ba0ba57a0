// Package ws is Fairlead's WebSocket engine: RFC 6455 and permessage-deflate
// (RFC 7692) for a server that holds very many mostly idle connections.
//
// What an idle connection owns is one descriptor and one small Conn: no
// goroutine, no buffer, no timer. Everything else is lent for the moment it
// is needed:
//
//   - On Linux a few pollers (epoll) read into one buffer each and feed the
//     incremental parser; only a partly received message keeps bytes.
//   - Output goes straight to the kernel. A connection owns a queue only while
//     the kernel refuses bytes, and the queue holds references to shared
//     frames, bounded in bytes.
//   - Pings and deadlines are one sweep over the table of connections.
//
// Elsewhere, or when asked for, a goroutine per connection stands in for the
// pollers behind the same transport interface, with the same parser, the same
// queue and the same rules.
//
// The package knows nothing of channels, JSON or HTTP routes: it is given a
// request that asks for an upgrade and a Handler for what arrives.
//
// # Locking
//
// Conn.mu guards a connection's output and its closing state; it is a leaf,
// but for Engine.timedMu, which may be taken under it. Reading needs no lock:
// exactly one goroutine, the connection's owner, reads, parses, calls the
// Handler and gives the descriptor back. Others ask for a close; only the owner
// carries it out, so a descriptor is never closed, and its number never
// reused, under a reader.
package ws
