-- norma's protocol for Wireshark and tshark: all of docs/wire.md.
--
--     tshark -X lua_script:contrib/wireshark/norma.lua -r FILE
--     wireshark -X lua_script:contrib/wireshark/norma.lua FILE
--
-- or link this folder into Wireshark's folder of plugins (docs/captures.md). Tested with 4.0, and
-- written to run under the Lua of later versions too.
--
-- Owns the two protocols and what ties the parts together; these are in the folder `norma`.
-- Each part checks lengths before it reads: a frame may be anything.

local here = __DIR__ or debug.getinfo(1, "S").source:gsub("^@", ""):match("^(.*)[/\\]") or "."

local function part(name)
    return dofile(here .. "/norma/" .. name .. ".lua")
end

local flip = Proto("norma.flip", "FLIP (norma)")
local norma = Proto("norma", "norma session")

local names, tools = part("names"), part("tools")
local watch = part("watch")(tools)
local fields, experts = part("fields")(flip, norma, names)
local items = part("items")(names, tools, fields, experts)
local talk = part("talk")(names, tools, watch, fields, experts)
local message = part("message")(names, tools, watch, fields, experts, items, talk)
local session = part("session")(names, tools, watch, fields, experts, message)

-- The network on which a frame was seen.
local interface = Field.new("frame.interface_id")

local function link()
    local info = interface()
    return info and tostring(info.value) or ""
end

-- Wireshark hands over a datagram, but not the header with which it came.
local header

function norma.dissector(tvb, pinfo, tree)
    if header then
        session(tvb, pinfo, tree, header, norma)
    end
end

local sessions = Dissector.get("norma")

local packet = part("flip")(names, tools, watch, fields, experts, function(tvb, pinfo, tree, came)
    header = came
    sessions:call(tvb, pinfo, tree)
    header = nil
end, link)

function flip.dissector(tvb, pinfo, tree)
    return packet(tvb, pinfo, tree, flip)
end

-- A new file: nothing is known any more.
function flip.init()
    watch.forget()
end

DissectorTable.get("ethertype"):add(0x8146, flip)
