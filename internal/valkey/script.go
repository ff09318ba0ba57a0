package valkey

import (
	"crypto/rand"
	"crypto/sha1" // EVALSHA names scripts by it
	_ "embed"     // the scripts
	"encoding/hex"
	"fmt"
	"time"
)

// minMetaLife is how long a channel's epoch and offset outlive its last message when no task subscribes to it, at least. Far longer
// than most histories: a laptop that slept a night beside a quiet channel comes back to "nothing was said", not to "cannot be
// proved". Price: some 150 bytes for each channel that was used within a day. The tasks that subscribe to a channel renew it.
const minMetaLife = 24 * time.Hour

// metaLife is never the first thing of a channel to go.
func (h History) metaLife() time.Duration { return max(minMetaLife, 2*h.Age) }

var (
	//go:embed begin.lua
	beginText string
	//go:embed publish.lua
	publishText string
	//go:embed look.lua
	lookText string
)

// script is one server-side script, sent by its hash and in full only when the server does not know it.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:])}
}

// scripts are made once per Broker: limits are constants in the text, so that a publish has two arguments fewer to parse for each.
type scripts struct{ publish, look script }

// newScripts needs sharded: PUBLISH reaches every server of a cluster, SPUBLISH only those that own the slot.
func newScripts(h History, sharded bool) scripts {
	command := "PUBLISH"
	if sharded {
		command = "SPUBLISH"
	}
	head := fmt.Sprintf("local MESSAGES, BYTES, AGE, LIFE, PUBLISH = %d, %d, %d, %d, '%s'\n",
		h.Messages, h.Bytes, h.Age.Milliseconds(), int(h.metaLife().Seconds()), command)
	return scripts{publish: newScript(head + beginText + publishText), look: newScript(head + beginText + lookText)}
}

// newNonce makes six characters that are this process's own.
func newNonce() string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	b := make([]byte, 6)
	_, _ = rand.Read(b) // documented never to fail
	for i := range b {
		b[i] = digits[int(b[i])%len(digits)] // the bias does not matter: it only keeps two processes apart
	}
	return string(b)
}
