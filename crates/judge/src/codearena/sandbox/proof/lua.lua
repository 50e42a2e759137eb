local payload = io.open('/dev/fd/4', 'rb')
local proof = payload:read('L')
local answer = io.open('main.lua', 'rb')
local text = answer:read('a')
answer:close()
for size in payload:lines() do text = text .. '\n' .. payload:read(tonumber(size)) end
payload:close()
local random = io.open('/dev/urandom', 'rb')
local last = ''
for at = 1, 16 do last = last .. string.format('%02x', random:read(1):byte()) end
random:close()
-- What reads other functions' variables; the name of the chunk hides its text.
debug.getlocal, debug.getupvalue, debug.getregistry, debug.sethook, debug.upvaluejoin = nil
local open = io.open
local chunk, why = load(text .. "\nreturn '" .. last .. "'", '=main.lua')
if not chunk then error(why, 0) end
if chunk() == last then
  local out = open('/dev/fd/5', 'wb')
  out:write(proof)
  out:close()
end
