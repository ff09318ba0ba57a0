package valkey

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // EVALSHA names scripts by their SHA-1
	"encoding/hex"
	"fmt"
	"time"
)

// metaLife is how long a channel's epoch and offset outlive its last message when no task subscribes to it. Far longer than any
// history: a laptop that slept a night beside a quiet channel comes back to "nothing was said", not to "cannot be proved". Price:
// some 150 bytes for each channel that was used within a day. The tasks that subscribe to a channel renew it.
const metaLife = 24 * time.Hour

// renewMeta is how often a subscribing task renews it.
const renewMeta = metaLife / 6

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
		h.Messages, h.Bytes, h.Age.Milliseconds(), int(metaLife.Seconds()), command)
	return scripts{publish: newScript(head + begin + publish), look: newScript(head + begin + look)}
}

// begin starts an epoch: the time in microseconds, in base 36, and the caller's nonce. Lua's random numbers are the same on every
// call, and neither part is enough: two servers may share a time, and one task may begin a channel twice (FLUSHALL between).
// The offset begins at 0, and what an earlier epoch left is deleted; but nothing is written without need, since a
// server without memory lets a script that has written once go on writing.
const begin = `
local function begin(nonce)
  local t = redis.call('TIME')
  local n, epoch = t[1] * 1000000 + t[2], ''
  while n > 0 do
    local d = n % 36
    epoch = string.sub('0123456789abcdefghijklmnopqrstuvwxyz', d + 1, d + 1) .. epoch
    n = (n - d) / 36
  end
  if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then redis.call('DEL', KEYS[2], KEYS[3]) end
  return string.sub(epoch .. nonce, 1, 16), 0, 0, 0, 0
end
`

// publish appends messages, in their order. KEYS: meta, stream, marks, and the idempotency key if there is one (then of a single
// message). ARGV: nonce, payloads. It returns the position of the first.
//
// Several messages of one channel share a call: reading and writing the meta, and the call itself, cost more than appending. They share
// one pub/sub message too, which tells their lengths.
//
// Trimming by count is XADD's own. By age and by bytes it needs to know which offset is how old: every eighth of the window, in
// time or in bytes, a mark is set, and what lies before a mark that left the window is trimmed. So a window is up to 9/8 of what was
// asked for, and nearly every call does without the marks. Rejected: stream ids made of time, since then neither contiguity nor
// MINID by offset could be seen from them.
//
// The order of writes matters: XADD is what a server without memory refuses, and must come before everything that leaves a
// trace.
const publish = `
local call = redis.call
local m = call('GET', KEYS[1])
if KEYS[4] then
  local first = call('GET', KEYS[4])
  if first then return first end
end
local epoch, offset, bytes, mt, mb
if m then epoch, offset, bytes, mt, mb = string.match(m, '^(%w+) (%d+) (%d+) (%d+) (%d+)$') end
if not epoch then epoch, offset, bytes, mt, mb = begin(ARGV[1]) end
local first = string.format('%.0f', offset + 1)
local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', MESSAGES, first .. '-0', 'p', ARGV[2])
if type(added) == 'table' and added.err then
  if not string.find(added.err, 'equal or smaller', 1, true) then return added end
  -- A stream that is ahead of its meta: somebody restored one of the two.
  epoch, offset, bytes, mt, mb = begin(ARGV[1])
  first = '1'
  call('XADD', KEYS[2], '1-0', 'p', ARGV[2])
end
local last, lengths, payloads = first, #ARGV[2], ARGV[2]
bytes = bytes + #ARGV[2]
if ARGV[3] then
  local list = {lengths}
  for i = 3, #ARGV do
    last = string.format('%.0f', offset + i - 1)
    call('XADD', KEYS[2], 'MAXLEN', '~', MESSAGES, last .. '-0', 'p', ARGV[i])
    list[i - 1] = #ARGV[i]
    bytes = bytes + #ARGV[i]
  end
  lengths, payloads = table.concat(list, ','), table.concat(ARGV, '', 2)
end
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now - mt >= AGE / 8 or now < mt - AGE or bytes - mb >= BYTES / 8 then
  local old, keep = 0, {}
  for at, o, b in string.gmatch(call('GET', KEYS[3]) or '', '(%d+) (%d+) (%d+);') do
    if now - at >= AGE or bytes - b >= BYTES then
      old = math.max(old, tonumber(o))
    else
      keep[#keep + 1] = at .. ' ' .. o .. ' ' .. b .. ';'
    end
  end
  mt, mb = now, bytes
  keep[#keep + 1] = string.format('%.0f %s %.0f;', now, last, bytes)
  local life = math.floor(AGE * 9 / 8) + 1000
  call('SET', KEYS[3], table.concat(keep), 'PX', life)
  if old > 0 then call('XTRIM', KEYS[2], 'MINID', '~', string.format('%.0f-0', old + 1)) end
  call('PEXPIRE', KEYS[2], life)
end
call('SET', KEYS[1], string.format('%s %s %.0f %.0f %.0f', epoch, last, bytes, mt, mb), 'EX', LIFE)
local position = epoch .. ':' .. first
if KEYS[4] then call('SET', KEYS[4], position, 'PX', AGE) end
call(PUBLISH, KEYS[1], position .. ' ' .. lengths .. ' ' .. payloads)
return position
`

// look reads head and messages in one instant. KEYS: meta, stream, marks. ARGV: mode, the epoch and offset that the caller has
// reached, how many messages at most, nonce. It returns epoch, offset, entries.
//
//	history  messages after the offset; changes nothing, and a channel that does not exist has the epoch ""
//	follow   for a task that subscribes: the channel is begun if it does not exist, and anew if its offset is below the caller's,
//	         whose message it has then lost. Entries begin with the caller's own, for comparison
//	renew    the caller has seen another message at the same offset: the channel is begun anew, if it is still that epoch
const look = `
local mode, seen, at = ARGV[1], ARGV[2], tonumber(ARGV[3])
local m = redis.call('GET', KEYS[1])
local epoch, offset, bytes, mt, mb
if m then epoch, offset, bytes, mt, mb = string.match(m, '^(%w+) (%d+) (%d+) (%d+) (%d+)$') end
if mode == 'history' then
  if not epoch then return {'', '0', {}} end
elseif not epoch or (epoch == seen and (mode == 'renew' or tonumber(offset) < at)) then
  epoch, offset, bytes, mt, mb = begin(ARGV[5])
  redis.call('SET', KEYS[1], epoch .. ' 0 0 0 0', 'EX', LIFE)
else
  redis.call('EXPIRE', KEYS[1], LIFE)
end
local entries = {}
if epoch == seen and tonumber(offset) > at then
  if mode == 'history' then at = at + 1 end
  entries = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', at), '+', 'COUNT', ARGV[4])
elseif epoch == seen and at > 0 then
  entries = redis.call('XRANGE', KEYS[2], ARGV[3] .. '-0', ARGV[3] .. '-0')
end
return {epoch, string.format('%.0f', offset), entries}
`

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
