-- publish appends messages, in their order. KEYS: meta, stream, marks, and the idempotency key if there is one (then of a single
-- message). ARGV: nonce, payloads. It returns the position of the first.
--
-- Several messages of one channel share a call: reading and writing the meta, and the call itself, cost more than appending. They share
-- one pub/sub message too, which tells their lengths.
--
-- Trimming by count is XADD's own. By age and by bytes it needs to know which offset is how old: every eighth of the window, in
-- time or in bytes, a mark is set, and what lies before a mark that left the window is trimmed. So a window is up to 9/8 of what was
-- asked for, and nearly every call does without the marks. Rejected: stream ids made of time, since then neither contiguity nor
-- MINID by offset could be seen from them.
--
-- The order of writes matters: XADD is what a server without memory refuses, and must come before everything that leaves a
-- trace.
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
