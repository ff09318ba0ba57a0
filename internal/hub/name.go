package hub

const (
	// Lobby is the channel of a connection that names none.
	Lobby = "lobby"

	// MaxChannelName is the longest channel name, in bytes.
	MaxChannelName = 128
)

// ValidChannel reports whether name may name a channel: 1 to MaxChannelName bytes of A-Z a-z 0-9 _ . : and -. The set needs no
// escaping in a URL path, in JSON or in a broker's key. Join and Publish do not check again: names are checked where they come in.
func ValidChannel(name string) bool {
	if len(name) == 0 || len(name) > MaxChannelName {
		return false
	}
	for i := range len(name) {
		if !nameByte[name[i]] {
			return false
		}
	}
	return true
}

// nameByte is true for the bytes a channel name may have.
var nameByte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") {
		t[c] = true
	}
	return t
}()
