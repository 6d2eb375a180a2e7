-- What nodes and kernels say to each other: messages to the node itself, its answers, news and
-- STATE (docs/wire.md, W-90 to W-99, W-107, W-108, W-122 to W-134).

return function(names, tools, watch, fields, experts)
    local f, e = fields.norma, experts.norma
    local talk = {}

    local function is_news(frame)
        return tools.has(frame.flags, 0x80)
    end

    -- The name in the inline data of LOOK_UP.
    local function name(range)
        return tools.text(range)
    end

    -- Notes what `watch` wants to know of the contents.
    function talk.read(frame, parts)
        local inline = parts.inline
        if frame.message_to ~= 1 then
            return
        end
        frame.node_call = true
        if frame.id == 1 and inline and frame.inline <= 63 then
            frame.label = name(inline)
        elseif frame.id == 16 and frame.inline == 4 then
            local slot = inline:le_uint()
            frame.slot = slot
            frame.label = names.slot[slot] or ("slot %d"):format(slot)
            frame.label = frame.label .. " of " .. watch.name(frame.destination)
        elseif frame.id == 4 and frame.inline == 12 then
            frame.taken = { x = inline(0, 4):le_uint(), y = inline(4, 4):le_uint() }
        end
    end

    local shown = {
        [1] = function(tree, inline)
            tree:add(f.look_up, inline, name(inline))
            return (' "%s"'):format(name(inline))
        end,
        [2] = function(tree, inline)
            tree:add_le(f.asked_session, inline(0, 4))
            tree:add_le(f.asked_there, inline(4, 4))
            return (" %#x of session %d"):format(inline(4, 4):le_uint(), inline(0, 4):le_uint())
        end,
        [4] = function(tree, inline)
            tree:add_le(f.taken_x, inline(0, 4))
            tree:add_le(f.taken_y, inline(4, 4))
            tree:add_le(f.taken_w, inline(8, 4))
            return (" X %#x Y %#x W %#x"):format(inline(0, 4):le_uint(), inline(4, 4):le_uint(),
                inline(8, 4):le_uint())
        end,
        [5] = function(tree, inline)
            tree:add_le(f.waits_first, inline(0, 8))
            tree:add_le(f.waits_for, inline(8, 8))
            tree:add_le(f.waits_passed, inline(16, 4))
            return (" for %s"):format(inline(8, 8):le_uint64():tohex(16))
        end,
        [16] = function(tree, inline)
            tree:add_le(f.slot, inline)
            local slot = inline:le_uint()
            return (" %s"):format(names.slot[slot] or ("%d"):format(slot))
        end,
    }
    shown[3] = shown[2]
    -- How long their inline data are; a name has 1 to 63 bytes.
    local lengths = { [2] = 8, [3] = 8, [4] = 12, [5] = 20, [16] = 4 }

    local function to_the_node(frame, parts)
        local tree = parts.tree
        local operation = names.operation[frame.id]
        tools.found(tree, f.operation, frame.id)
        if not operation then
            return ("operation %d"):format(frame.id)
        end
        local length = lengths[frame.id]
        local fits = length and frame.inline == length
            or (not length and frame.inline >= 1 and frame.inline <= 63)
        if not fits then
            tree:add_proto_expert_info(e.inline)
            return operation
        end
        return operation .. shown[frame.id](parts.data, parts.inline)
    end

    local function state(frame, parts)
        local tree, inline = parts.data, parts.inline
        tree:add_le(f.limit, inline(0, 2))
        local item = tree:add_le(f.state_flags, inline(2, 1))
        item:add_le(f.senders, inline(2, 1))
        item:add_le(f.no_senders, inline(2, 1))
        item:add_le(f.destroyed, inline(2, 1))
        tree:add_le(f.items, inline(4, 4))
        tree:add_le(f.onces, inline(8, 4))
        return ("STATE %d items follow"):format(inline(4, 4):le_uint())
    end

    local function news(frame, parts)
        local tree, inline = parts.tree, parts.inline
        tools.found(tree, f.notification, frame.id)
        local text = names.notification[frame.id]
        if not text then
            return ("%d"):format(frame.id)
        elseif frame.inline ~= (frame.id == 7 and 12 or 16) then
            tree:add_proto_expert_info(e.inline)
            return text
        elseif frame.id == 7 then
            return state(frame, parts)
        end
        tree = parts.data
        tree:add_le(f.news_number, inline(0, 4))
        tree:add_le(f.reason, inline(4, 4))
        tree:add_le(f.news_node, inline(8, 8))
        local reason = names.reason[inline(4, 4):le_uint()]
        return reason and text .. ": " .. reason or text
    end

    local function answer(frame, parts, call)
        tools.found(parts.tree, f.status, frame.id)
        if frame.id ~= 0 then
            parts.tree:add_proto_expert_info(e.status)
        end
        local status = names.status[frame.id] or ("%d"):format(frame.id)
        return (call.label and call.label .. ": " or "") .. status
    end

    -- What the line says of the message; nil where its meaning is between two services.
    function talk.say(frame, parts, notes)
        if is_news(frame) then
            return news(frame, parts)
        elseif frame.message_to == 1 then
            return to_the_node(frame, parts)
        end
        local call = notes.answer
        if frame.send_once and call and call.node then
            return answer(frame, parts, call)
        end
        local requests = notes.slot and names.service[notes.slot]
        if requests and requests[frame.id] and notes.export then
            local label = watch.labels[notes.export.port]
            tools.found(parts.tree, f.service, requests[frame.id])
            return ("%s: %s"):format(label or names.slot[notes.slot], requests[frame.id])
        end
        return nil
    end

    return talk
end
