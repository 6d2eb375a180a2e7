-- Session frames: the header, the handshake, CONTROL, and the line that sums up each frame
-- (docs/wire.md, chapters 6, 7, 11 and 12).
--
-- Leaves to others: what is in a message (`message`), and which frames belong together
-- (`watch`).

return function(names, tools, watch, fields, experts, message)
    local f, e = fields.norma, experts.norma
    local HEADER, BODY = 62, 64

    -- Reads the header. Fields that mean something else in another kind have a name for each.
    local function read(tvb)
        local frame = {
            version = tvb(0, 1):uint(),
            kind = tvb(1, 1):uint(),
            flags = tvb(2, 2):le_uint(),
            session = tvb(4, 4):le_uint(),
            sequence = tvb(8, 4):le_uint(),
            acknowledged = tvb(12, 4):le_uint(),
            credit = tvb(20, 1):uint(),
            right_count = tvb(21, 1):uint(),
            inline = tvb(22, 2):le_uint(),
            destination_field = tvb(24, 4):le_uint(),
            reply = tvb(28, 4):le_uint(),
            id = tvb(32, 4):le_uint(),
            memory = tvb(36, 4):le_uint(),
            key = tvb(42, 4):le_uint(),
        }
        frame.credit_frames = frame.credit < 128 and frame.credit or (frame.credit - 128) * 8
        frame.send_once = tools.has(frame.flags, 0x08)
        frame.context = tools.has(frame.flags, 0x02)
        if frame.kind == 3 then
            frame.message_to = frame.destination_field
        elseif frame.kind == 4 then
            frame.message, frame.first_page = frame.destination_field, frame.reply
        elseif frame.kind == 5 or frame.kind == 6 then
            frame.probe = frame.id
        elseif frame.kind == 8 then
            frame.operation, frame.argument = frame.destination_field, frame.reply
        end
        return frame
    end

    -- Which field of Wireshark's each of the four free fields is, for a kind of frame.
    local free = {
        [3] = { f.destination, f.reply, f.id, f.memory },
        [4] = { f.part_of, f.first_page, f.unused, f.memory },
        [5] = { f.unused, f.unused, f.probe, f.held_back },
        [6] = { f.unused, f.unused, f.probe, f.unused },
        [7] = { f.quoted, f.unused, f.unused, f.unused },
        [8] = { f.control, f.unused, f.unused, f.unused },
    }
    local arguments = {
        [1] = { f.export, f.count },
        [2] = { f.export },
        [3] = { f.refused, f.refusal },
        [4] = { f.export },
        [5] = { f.export },
        [6] = { f.export },
        [7] = { f.export },
    }

    -- The frames that a word of bits says have arrived.
    local function arrived(acknowledged, selective)
        local list = {}
        for bit = 0, 31 do
            if tools.has(selective, 2 ^ bit) then
                list[#list + 1] = tools.key((acknowledged + 1 + bit) % 2 ^ 32)
            end
        end
        return #list > 0 and " (" .. table.concat(list, ", ") .. ")" or ""
    end

    local function header(tvb, tree, frame)
        tree:add_le(f.version, tvb(0, 1))
        tree:add_le(f.kind, tvb(1, 1))
        local set, unknown = tools.flags(frame.flags, names.flag)
        local item = tree:add_le(f.flags, tvb(2, 2))
        item:append_text(" (" .. (#set > 0 and table.concat(set, ", ") or "none") .. ")")
        for _, field in ipairs(f.flag) do
            item:add_le(field, tvb(2, 2))
        end
        if unknown > 0 then
            item:add_proto_expert_info(e.flags)
        end
        item = tree:add_le(f.session, tvb(4, 4))
        local opens = frame.kind == 1 or frame.kind == 7
        if frame.session == 0 and not opens then
            item:add_proto_expert_info(e.session)
        end
        tree:add_le(f.sequence, tvb(8, 4))
        tree:add_le(f.acknowledged, tvb(12, 4))
        item = tree:add_le(f.selective, tvb(16, 4))
        item:append_text(arrived(frame.acknowledged, tvb(16, 4):le_uint()))
        item = tree:add_le(f.credit, tvb(20, 1))
        if frame.credit >= 128 then
            item:append_text((" (%d frames)"):format(frame.credit_frames))
        end
        tree:add_le(f.rights, tvb(21, 1))
        tree:add_le(f.inline, tvb(22, 2))
        for i = 1, 4 do
            local field = (free[frame.kind] or {})[i] or f.unused
            if frame.kind == 8 and i > 1 then
                field = (arguments[frame.operation] or {})[i - 1] or f.unused
            end
            tree:add_le(field, tvb(20 + 4 * i, 4))
        end
        tree:add_le(f.after, tvb(40, 2))
        tree:add_le(f.key, tvb(42, 4))
        tree:add(f.tag, tvb(46, 16))
    end

    -- Whether the frame is as it was sent, as far as that can be said.
    local function check(tvb, tree, frame, length)
        if frame.key ~= 0 then
            tree:add_proto_expert_info(e.sealed)
            return true
        elseif tvb:len() < math.min(length, HEADER + BODY) then
            return true
        end
        local sum = tools.check(tvb, length)
        local good = sum == tvb(46, 4):le_uint()
        local item = tree:add_le(f.check, tvb(46, 4))
        tools.found(item, f.check_good, good)
        if not good then
            item:add_proto_expert_info(e.check)
            tools.found(item, f.check_expected, sum)
        end
        return good
    end

    local function hello(tvb, tree, frame)
        local at = HEADER
        local item = tree:add(tvb(at, BODY), names.kind[frame.kind] .. " body")
        item:add_le(f.lowest, tvb(at, 1))
        item:add_le(f.highest, tvb(at + 1, 1))
        item:add_le(f.features, tvb(at + 4, 4))
        item:add_le(f.incarnation, tvb(at + 8, 8))
        item:add(f.cluster, tvb(at + 16, 16))
        item:add_le(f.hello_session, tvb(at + 32, 4))
        item:add_le(f.echo, tvb(at + 36, 4))
        item:add_le(f.frame_limit, tvb(at + 40, 4))
        item:add_le(f.first_sequence, tvb(at + 44, 4))
        local length, padding, sound = 0, false, true
        for i = 0, 15 do
            if tvb(at + 48 + i, 1):uint() == 0 then
                padding = true
            else
                sound = sound and not padding
                length = padding and length or i + 1
            end
        end
        local name = length > 0 and tools.text(tvb(at + 48, length)) or ""
        item:add(f.name, tvb(at + 48, 16), name)
        if not sound or tvb(at, 1):uint() > tvb(at + 1, 1):uint() then
            item:add_proto_expert_info(e.hello)
        end
        frame.hello = {
            session = tvb(at + 32, 4):le_uint(),
            echo = tvb(at + 36, 4):le_uint(),
            name = name,
        }
    end

    -- Whether a CONTROL frame makes sense (W-26).
    local function sensible(frame)
        if not names.control[frame.operation] then
            return false
        elseif frame.operation == 1 then
            return frame.id ~= 0
        end
        return frame.operation ~= 3 or names.refusal[frame.id] ~= nil
    end

    local remarks = {
        [2] = e.dead,
        [3] = e.refused,
        [4] = e.room,
        [5] = e.no_reply,
        [6] = e.moved,
    }

    local function control(tree, frame, notes)
        if not sensible(frame) then
            tree:add_proto_expert_info(e.control)
            return ("CONTROL %d"):format(frame.operation)
        end
        local text = names.control[frame.operation]
        if remarks[frame.operation] then
            tree:add_proto_expert_info(remarks[frame.operation])
        end
        if frame.operation == 3 then
            text = ("%s %d: %s"):format(text, frame.argument, names.refusal[frame.id])
            tools.found(tree, f.message_in, notes.message and notes.message.frame)
        else
            text = ("%s %#x"):format(text, frame.argument)
        end
        if frame.operation == 1 then
            text = ("%s, %d right%s"):format(text, frame.id, frame.id == 1 and "" or "s")
        end
        local export = notes.export
        if export then
            local label = watch.labels[export.port]
            tools.found(tree, f.service, label)
            tools.found(tree, f.passed_in, export.frame)
            text = label and text .. " (" .. label .. ")" or text
        end
        tools.found(tree, f.call_in, notes.answer and notes.answer.frame)
        return text
    end

    -- What to call the destination of a frame: HELLO's is often a name's address.
    local function way(tree, packet)
        tools.found(tree, f.from, watch.name(packet.source))
        tools.found(tree, f.to, watch.name(packet.destination))
        return watch.name(packet.source) .. "→" .. watch.name(packet.destination)
    end

    -- Lengths that are fixed (W-20).
    local function length_is_right(kind, length)
        if kind == 1 or kind == 2 then
            return length == HEADER + BODY
        elseif kind == 5 then
            return length == HEADER or length == HEADER + BODY
        elseif kind == 3 or kind == 4 then
            return true
        end
        return length == HEADER
    end

    -- What kinds other than messages say in the line, and what they belong to.
    local function say(tvb, tree, frame, notes)
        local text = names.kind[frame.kind]
        if frame.kind == 1 or frame.kind == 2 then
            text = ('%s "%s" session %d'):format(text, frame.hello.name, frame.hello.session)
            if frame.kind == 1 then
                tools.found(tree, f.answer_in, notes.hello and notes.hello.answered)
            elseif notes.hello then
                tools.found(tree, f.hello_in, notes.hello.frame)
                tools.found(tree, f.hello_time, tools.time(notes.time))
            end
        elseif frame.kind == 5 then
            text = ("ACK %d credit %d"):format(frame.acknowledged, frame.credit_frames)
            if tvb:len() >= HEADER + BODY then
                tree:add(f.more_acknowledged, tvb(HEADER, BODY))
            end
            if notes.probe then
                text = ("%s, answers probe %d"):format(text, frame.id)
                tools.found(tree, f.probe_in, notes.probe.frame)
                tools.found(tree, f.probe_time, tools.time(notes.time))
            end
        elseif frame.kind == 6 then
            text = ("PROBE %d"):format(frame.id)
        elseif frame.kind == 7 then
            text = ("RESET of session %d"):format(frame.destination_field)
            tree:add_proto_expert_info(e.reset)
        elseif frame.kind == 8 then
            text = control(tree, frame, notes)
        end
        return text
    end

    -- `packet` is the FLIP header with which the datagram came.
    return function(tvb, pinfo, root, packet, proto)
        pinfo.cols.protocol = "NORMA"
        local there, length = tvb:len(), packet.total
        if there < HEADER then
            local tree = root:add(proto, tvb())
            pinfo.cols.info = packet.way .. " (no session header)"
            if length < HEADER then
                tree:add_proto_expert_info(e.short)
            end
            return
        end
        local frame = read(tvb)
        local kind = names.kind[frame.kind]
        frame.source, frame.destination = packet.source, packet.destination
        frame.datagram = packet.id
        local tree = root:add(proto, tvb())
        tree:append_text(", " .. (kind or "kind " .. frame.kind))
        header(tvb, tree, frame)
        local wrong = (frame.version ~= 1 and e.version)
            or (not kind and e.kind)
            or (not length_is_right(frame.kind, length) and e.length)
        if wrong then
            tree:add_proto_expert_info(wrong)
            pinfo.cols.info = packet.way .. " " .. (kind or "?") .. " (bad frame)"
            return
        end
        local good = check(tvb, tree, frame, length)
        local whole = there >= length
        if whole and (frame.kind == 1 or frame.kind == 2) then
            hello(tvb, tree, frame)
            if good and not pinfo.visited then
                watch.names[packet.source] = frame.hello.name
            end
        end
        local carries = frame.kind == 3 or frame.kind == 4
        local body
        if carries then
            body = message.read(tvb, tree, frame, length)
        end
        -- A frame that every node drops tells nothing of others, nor does one that is sealed, for
        -- it may be a damaged one. A bad layout is said already.
        local _, unknown = tools.flags(frame.flags, names.flag)
        local sound = good and frame.key == 0 and whole and unknown == 0 and (body ~= nil or not carries)
        local notes = sound and watch.notes(pinfo, "session", function(notes)
            watch.frame(notes, pinfo, frame)
        end) or {}
        local text
        if whole or (frame.kind ~= 1 and frame.kind ~= 2) then
            text = body and message.say(tvb, pinfo, tree, frame, body, notes)
                or say(tvb, tree, frame, notes)
        else
            text = kind
        end
        tools.found(tree, f.under_way, notes.under_way)
        tools.found(tree, f.permitted, notes.permitted)
        local again = rawget(notes, "again")
        if again then
            tree:add_proto_expert_info(e.again)
            tools.found(tree, f.again, again)
            text = text .. " [sent again]"
        end
        if not good then
            text = text .. " [damaged]"
        end
        pinfo.cols.info = way(tree, packet) .. " " .. text
    end
end
