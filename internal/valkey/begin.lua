-- begin starts an epoch: the time in microseconds, in base 36, and the caller's nonce. Lua's random numbers are the same on every
-- call, and neither part is enough: two servers may share a time, and one task may begin a channel twice (FLUSHALL between).
-- The offset begins at 0, and what an earlier epoch left is deleted; but nothing is written without need, since a
-- server without memory lets a script that has written once go on writing.
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
