-- MESSAGE and PART: the stream of inline data, rights and context, the pages, and the line that
-- sums them up (docs/wire.md, chapters 8 to 10).
--
-- Leaves to others: what inline data say (`items`, `talk`).

return function(names, tools, watch, fields, experts, items, talk)
    local f, e = fields.norma, experts.norma
    local HEADER, HEAD, PAGE, RIGHT, CONTEXT = 62, 126, 4096, 32, 32
    local message = {}

    -- Where the parts lie (W-22, W-23); nil if the lengths contradict each other.
    local function layout(frame, length)
        if frame.kind == 4 then
            local pages = length - HEAD
            local empty = frame.inline == 0 and frame.right_count == 0 and not frame.context
            return empty and pages > 0 and { stream = 0, trailer = 0, pages = pages } or nil
        end
        local stream = frame.inline + RIGHT * frame.right_count + (frame.context and CONTEXT or 0)
        if length == HEADER + stream and stream <= HEAD - HEADER then
            return { stream = stream, trailer = 0, pages = 0 }
        end
        local trailer = math.max(0, stream - (HEAD - HEADER))
        local pages = length - HEAD - trailer
        if pages < 0 or (trailer == 0 and pages == 0) then
            return nil
        end
        local whole = pages % PAGE == 0
        local last = trailer == 0 and pages == frame.memory
        if not (whole or last) or pages > math.ceil(frame.memory / PAGE) * PAGE then
            return nil
        end
        return { stream = stream, trailer = trailer, pages = pages }
    end

    local function right(stream, tree, at, number)
        local one = {
            kind = stream(at, 1):uint(),
            origin = stream(at + 1, 1):uint(),
            index = stream(at + 4, 4):le_uint(),
            port = tools.digits(stream, at + 8),
            node = tools.digits(stream, at + 16),
            session = stream(at + 24, 4):le_uint(),
            there = stream(at + 28, 4):le_uint(),
        }
        local kind, origin = names.right[one.kind], names.origin[one.origin]
        local item = tree:add(stream(at, RIGHT), ("Right %d: %s, %s, %#x"):format(number,
            kind or "?", origin or "?", one.index))
        item:add_le(f.right, stream(at, 1))
        item:add_le(f.origin, stream(at + 1, 1))
        item:add_le(f.moves, stream(at + 2, 2))
        item:add_le(f.index, stream(at + 4, 4))
        item:add_le(f.port, stream(at + 8, 8))
        local node = item:add_le(f.node, stream(at + 16, 8))
        node:set_text("Node: " .. tools.address(one.node)
            .. (watch.names[one.node] and " (" .. watch.names[one.node] .. ")" or ""))
        item:add_le(f.right_session, stream(at + 24, 4))
        item:add_le(f.there, stream(at + 28, 4))
        if not kind or not origin then
            item:add_proto_expert_info(e.right)
            return nil
        end
        one.item = item
        return one
    end

    -- The rights, with CLAIM and REPLY known apart: they are the last.
    local function rights(stream, tree, frame)
        local all, sound = {}, true
        for number = 1, frame.right_count do
            local one = right(stream, tree, frame.inline + RIGHT * (number - 1), number)
            sound = sound and one ~= nil
            all[#all + 1] = one
        end
        if not sound then
            return nil
        end
        local last = #all
        if last > 0 and all[last].kind == 4 then
            all.claim = all[last]
            last = last - 1
        end
        if last > 0 and all[last].kind == 5 and frame.reply == 0 then
            all.reply = all[last]
        end
        return all
    end

    local function context(stream, tree, at)
        local item = tree:add(stream(at, CONTEXT), "Call context")
        item:add_le(f.deadline, stream(at, 8))
        item:add(f.trace, stream(at + 8, 16))
        item:add_le(f.priority, stream(at + 24, 1))
    end

    -- Shows the parts that stand for themselves, and notes for `watch` what it wants to know.
    -- Nil if nothing may be read.
    function message.read(tvb, tree, frame, length)
        local parts = layout(frame, length)
        if not parts then
            tree:add_proto_expert_info(frame.kind == 4 and e.part or e.layout)
            return nil
        elseif tvb:len() < length then
            return nil
        end
        local stream
        if parts.trailer > 0 then
            local bytes = tvb(HEADER, HEAD - HEADER):bytes()
            bytes:append(tvb(HEAD + parts.pages, parts.trailer):bytes())
            stream = bytes:tvb("Stream of the message")
        elseif parts.stream > 0 then
            stream = tvb(HEADER, parts.stream):tvb()
        end
        local behind = parts.pages + parts.trailer
        if behind > 0 and parts.stream < HEAD - HEADER then
            tree:add(f.head_padding, tvb(HEADER + parts.stream, HEAD - HEADER - parts.stream))
        end
        if parts.pages > 0 then
            tree:add(f.pages, tvb(HEAD, parts.pages))
            frame.page_range = tvb(HEAD, parts.pages)
        end
        if parts.trailer > 0 then
            tree:add(f.trailer, tvb(HEAD + parts.pages, parts.trailer))
        end
        frame.pages = parts.pages
        if frame.kind == 4 then
            return parts
        end
        frame.first_page = 0
        parts.tree = tree
        if frame.inline > 0 then
            parts.inline = stream(0, frame.inline)
            parts.data = tree:add(f.data, parts.inline)
        end
        if frame.right_count > 0 then
            frame.rights = rights(stream, tree, frame)
            if not frame.rights then
                return nil
            end
        end
        if frame.context then
            context(stream, tree, parts.stream - CONTEXT)
        end
        talk.read(frame, parts)
        return parts
    end

    local function memory(tree, pinfo, made)
        if made.finished ~= pinfo.number then
            tools.found(tree, f.whole_in, made.finished)
        elseif #made.frames > 1 then
            local item = tree
            if made.bytes then
                local whole = made.bytes:tvb("Out-of-line memory")
                item = tree:add(f.whole, whole())
                item:set_text(("Out-of-line memory: %d bytes of %d frames"):format(
                    made.size, #made.frames))
                item:set_generated()
            end
            for _, frame in ipairs(made.frames) do
                tools.found(item, f.piece, frame)
            end
        end
    end

    -- Which call this is, or what it answers.
    local function company(tree, notes)
        local call = notes.call
        if call then
            tools.found(tree, f.passed_on, call.passed_on)
            tools.found(tree, f.answer_in, call.answered)
            tools.found(tree, f.no_reply_in, call.no_reply)
        end
        if notes.passed_on then
            tools.found(tree, f.call_in, notes.passed_on.frame)
            tools.found(tree, f.answer_in, notes.passed_on.answered)
        end
        if notes.answer then
            tools.found(tree, f.call_in, notes.answer.frame)
            tools.found(tree, f.time, tools.time(notes.time))
        end
        if notes.message then
            tools.found(tree, f.refused_in, notes.message.refused)
        end
        if notes.export then
            tools.found(tree, f.to_port, notes.export.port)
            tools.found(tree, f.passed_in, notes.export.frame)
            tools.found(tree, f.service, watch.labels[notes.export.port])
        end
    end

    local function part(tree, pinfo, frame, parts, notes)
        local first = frame.first_page
        local last = first + math.ceil(parts.pages / PAGE) - 1
        tools.found(tree, f.message_in, notes.message and notes.message.frame)
        if notes.memory then
            memory(tree, pinfo, notes.memory)
        end
        return ("PART of %d, pages %d to %d"):format(frame.message, first, last)
    end

    -- What a message is: the first word, and for whom.
    local function what(frame, notes)
        if tools.has(frame.flags, 0x80) then
            return "NEWS"
        elseif frame.send_once then
            return notes.answer and "REPLY" or "SEND_ONCE"
        elseif frame.rights and frame.rights.reply then
            return notes.passed_on and "CALL passed on" or "CALL"
        elseif tools.has(frame.flags, 0x04) then
            return "CALL"
        end
        return tools.has(frame.flags, 0x40) and "CONFIRM" or "MESSAGE"
    end

    -- The line, and all that needs to know of other frames.
    function message.say(tvb, pinfo, tree, frame, parts, notes)
        if frame.kind == 4 then
            return part(tree, pinfo, frame, parts, notes)
        end
        company(tree, notes)
        if notes.memory then
            memory(tree, pinfo, notes.memory)
        end
        if tools.has(frame.flags, 0x40) and frame.reply == 0 then
            tree:add_proto_expert_info(e.reply)
        end
        for _, one in ipairs(frame.rights or {}) do
            tools.found(one.item, f.service, watch.labels[one.port])
        end
        local words = { what(frame, notes) }
        local said = talk.say(frame, parts, notes)
        if said then
            words[#words + 1] = said
        else
            local port = notes.export and notes.export.port or (notes.answer and notes.answer.port)
            local label = port and watch.labels[port]
            if label then
                words[#words + 1] = label
            elseif not frame.send_once then
                words[#words + 1] = ("port %#x"):format(frame.message_to)
            end
            words[#words + 1] = ("id %d"):format(frame.id)
        end
        if tools.has(frame.flags, 0x20) and parts.inline then
            items(parts.inline, parts.data, tools.has(frame.flags, 0x01))
        elseif parts.inline and not said then
            local text = tools.printable(parts.inline:bytes(), 200)
            if text then
                parts.data:add(f.text, parts.inline, text)
            end
        end
        local size = frame.inline + frame.memory
        words[#words + 1] = ("%d B"):format(size)
        if frame.right_count > 0 then
            words[#words + 1] = ("%d right%s"):format(frame.right_count,
                frame.right_count == 1 and "" or "s")
        end
        return table.concat(words, " ")
    end

    return message
end
