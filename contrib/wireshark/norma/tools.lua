-- Small things that all parts need.
--
-- No library of bits is used, and numbers are taken apart by arithmetic: Wireshark's Lua is 5.2
-- up to version 4.2 and 5.4 from 4.4 on, and these do not have one in common.

local tools = {}

-- Whether the flag of this value (a power of two) is set in `number`.
function tools.has(number, value)
    return math.floor(number / value) % 2 == 1
end

-- The names of the flags that are set, in their order, and what is left of unknown ones.
function tools.flags(number, table)
    local found, rest = {}, number
    for bit = 0, 15 do
        local value = 2 ^ bit
        if table[value] and tools.has(number, value) then
            found[#found + 1] = table[value]
            rest = rest - value
        end
    end
    return found, rest
end

-- A number in decimal, the same under every Lua: what tables are looked up by.
function tools.key(number)
    return string.format("%d", number)
end

-- An address as docs/wire.md writes it, of 16 digits.
function tools.address(digits)
    return digits:sub(1, 2) .. ":" .. digits:sub(3)
end

-- The same for a line that has little room.
function tools.short(digits)
    if digits == tools.nobody then
        return "all"
    end
    return digits:sub(1, 2) .. ":" .. digits:sub(3, 6) .. "…"
end

tools.nobody = string.rep("0", 16)

-- The 8 bytes at `at` as 16 digits.
function tools.digits(tvb, at)
    return tvb(at, 8):le_uint64():tohex(16)
end

-- Seconds as the type that fields of time have; of nothing nothing, for a frame that has the
-- number of another is taken for it, and need not be of its kind.
function tools.time(seconds)
    if not seconds then
        return nil
    end
    local whole = math.floor(seconds)
    return NSTime(whole, math.floor((seconds - whole) * 1e9 + 0.5))
end

-- Up to `most` bytes as text, what cannot be printed as dots; nil if much of it cannot.
function tools.printable(bytes, most)
    local length, good, out = bytes:len(), 0, {}
    for i = 0, math.min(length, most) - 1 do
        local byte = bytes:get_index(i)
        if byte >= 32 and byte < 127 then
            good = good + 1
            out[#out + 1] = string.char(byte)
        else
            out[#out + 1] = "."
        end
    end
    if good == 0 or good < #out * 0.75 then
        return nil
    end
    return table.concat(out) .. (length > most and "…" or "")
end

-- How many bytes the character of UTF-8 that begins with this one has; 1 also if none does.
local function width(byte)
    return byte >= 0xf0 and byte < 0xf5 and 4
        or byte >= 0xe0 and byte < 0xf0 and 3
        or byte >= 0xc2 and byte < 0xe0 and 2
        or 1
end

-- UTF-8 as text: a question mark for what is none, and for what would break a line. (Wireshark
-- 4.0 itself cuts what it has replaced.)
function tools.text(range)
    local bytes, out, at = range:bytes(), {}, 0
    while at < bytes:len() do
        local first = bytes:get_index(at)
        local wide, good = width(first), true
        for i = at + 1, at + wide - 1 do
            good = good and i < bytes:len() and math.floor(bytes:get_index(i) / 64) == 2
        end
        if wide == 1 then
            good = first >= 32 and first < 127
        end
        out[#out + 1] = good and bytes:raw(at, wide) or "?"
        at = at + (good and wide or 1)
    end
    return table.concat(out)
end

-- Adds what was found out and is not in the frame.
function tools.found(tree, field, value)
    if value ~= nil then
        tree:add(field, value):set_generated()
    end
end

-- Fewer than eight bytes from `at` on, as a word.
local function word(tvb, at, count)
    local halves = { 0, 0 }
    for i = 0, count - 1 do
        local half = i < 4 and 1 or 2
        halves[half] = halves[half] + tvb(at + i, 1):uint() * 256 ^ (i % 4)
    end
    return UInt64.new(halves[1], halves[2])
end

local factor = UInt64.new(0x7f4a7c15, 0x9e3779b9)

-- The check of W-64 over a datagram of `length` bytes; of the head, 126 bytes must be there, or
-- all that the datagram has.
function tools.check(tvb, length)
    local sum = UInt64.new(length, 0)
    local function stretch(at, finish)
        while finish - at >= 8 do
            sum = (sum:bxor(tvb(at, 8):le_uint64()) * factor):rol(29)
            at = at + 8
        end
        sum = (sum:bxor(word(tvb, at, finish - at)) * factor):rol(29)
    end
    stretch(0, 46)
    if length > 62 then
        stretch(62, math.min(length, 126))
    end
    return sum:bxor(sum:rshift(32)):lower()
end

return tools
