-- look reads head and messages in one instant. KEYS: meta, stream, marks. ARGV: mode, the epoch and offset that the caller has
-- reached, how many messages at most, nonce. It returns epoch, offset, entries.
--
-- history  messages after the offset; changes nothing, and a channel that does not exist has the epoch ""
-- follow   for a task that subscribes: the channel is begun if it does not exist, and anew if its offset is below the caller's,
--          whose message it has then lost. Entries begin with the caller's own, for comparison
-- renew    the caller has seen another message at the same offset: the channel is begun anew, if it is still that epoch
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
