-- FLIP: packets, addresses, fragments (docs/wire.md, chapters 1 to 5).
--
-- Leaves to others: the datagrams of sessions (`session`), and which packets belong together
-- (`watch`).

return function(names, tools, watch, fields, experts, session, link)
    local f, e = fields.flip, experts.flip
    local HEADER = 40

    local function address(tree, field, range, text, digits)
        local item = tree:add_le(field, range)
        local name = watch.names[digits]
        item:set_text(text .. ": " .. tools.address(digits) .. (name and " (" .. name .. ")" or ""))
        tree:add_le(f.address, range):set_hidden()
    end

    local function header(tvb, tree, packet)
        tree:add_le(f.version, tvb(0, 1))
        local item = tree:add_le(f.type, tvb(1, 1))
        packet.item = item
        local set = tools.flags(packet.flags, names.flip_flag)
        item = tree:add_le(f.flags, tvb(2, 1))
        item:append_text(" (" .. (#set > 0 and table.concat(set, ", ") or "none") .. ")")
        for _, field in ipairs(f.flag) do
            item:add_le(field, tvb(2, 1))
        end
        tree:add_le(f.hop, tvb(4, 2))
        tree:add_le(f.max_hop, tvb(6, 2))
        address(tree, f.destination, tvb(8, 8), "Destination", packet.destination)
        address(tree, f.source, tvb(16, 8), "Source", packet.source)
        tree:add_le(f.id, tvb(24, 4))
        tree:add_le(f.length, tvb(28, 4))
        tree:add_le(f.offset, tvb(32, 4))
        tree:add_le(f.total, tvb(36, 4))
    end

    -- What must not be, though it can be read.
    local function complain(packet, pinfo, tree)
        local search = packet.type == 1 or packet.type == 2
        if not search and packet.offset + packet.length > packet.total then
            tree:add_proto_expert_info(e.total)
        end
        if packet.hop > packet.max_hop or packet.max_hop > 25 then
            tree:add_proto_expert_info(e.hops)
        end
        if packet.source == tools.nobody then
            tree:add_proto_expert_info(e.source)
        end
        local station = tostring(pinfo.dl_src)
        local first = tonumber(station:sub(1, 2), 16)
        if first and first % 2 == 1 then
            tree:add_proto_expert_info(e.station)
        end
        if packet.type == 3 and tostring(pinfo.dl_dst) == "ff:ff:ff:ff:ff:ff" then
            tree:add_proto_expert_info(e.broadcast)
        end
        if packet.type ~= 2 and packet.type ~= 3 and packet.type ~= 4 and packet.length > 0 then
            tree:add_proto_expert_info(e.payload)
        end
    end

    local function search(tvb, pinfo, tree, packet, notes)
        local words = { names.flip_type[packet.type] }
        if packet.type == 1 then
            if tools.has(packet.flags, 0x40) then
                words = { "ANNOUNCE", tools.short(packet.source) }
                words[3] = tools.has(packet.flags, 0x80) and "settled" or nil
            else
                words[2] = tools.short(packet.destination)
                words[3] = tools.has(packet.flags, 0x08) and "all" or nil
            end
            if notes.search and notes.search.found then
                tools.found(tree, f.found_in, notes.search.found)
            end
        else
            words[2] = tools.short(packet.source)
            if packet.length ~= 4 or tvb:len() < HEADER + 4 then
                tree:add_proto_expert_info(e.counts)
            else
                tree:add_le(f.receivers, tvb(HEADER, 2))
                tree:add_le(f.trusted, tvb(HEADER + 2, 2))
                local count, trusted = tvb(HEADER, 2):le_uint(), tvb(HEADER + 2, 2):le_uint()
                if count == 0 or trusted > count then
                    tree:add_proto_expert_info(e.counts)
                end
            end
            if notes.answered then
                tools.found(tree, f.locate_in, notes.answered.frame)
                tools.found(tree, f.found_time, tools.time(notes.time))
            end
        end
        return table.concat(words, " ")
    end

    -- The datagram of a packet, whole: a view of its bytes, or nil.
    local function datagram(tvb, pinfo, tree, packet, notes)
        if packet.length > 0 and packet.offset == 0 and packet.length == packet.total then
            return tvb(HEADER, math.min(packet.length, tvb:len() - HEADER)):tvb()
        end
        local whole = notes.whole
        if packet.length == 0 then
            tree:add_proto_expert_info(e.empty)
        elseif notes.overlap then
            tree:add_proto_expert_info(e.overlap)
        elseif whole and whole.finished == pinfo.number then
            for _, frame in ipairs(whole.frames) do
                tools.found(tree, f.fragment, frame)
            end
            return whole.bytes:tvb("Datagram of " .. #whole.frames .. " fragments")
        elseif whole and whole.finished then
            tools.found(tree, f.whole_in, whole.finished)
        end
        return nil
    end

    -- What there is to say of a packet with a datagram; shows a session's frame itself.
    local function data(tvb, pinfo, tree, root, packet, notes)
        if packet.length > 0 then
            tree:add(f.payload, tvb(HEADER, math.min(packet.length, tvb:len() - HEADER)))
        end
        local view
        if packet.type == 3 then
            view = datagram(tvb, pinfo, tree, packet, notes)
        end
        if view then
            session(view, pinfo, root, packet)
            return nil
        end
        local text = names.flip_type[packet.type]
        if packet.length ~= packet.total then
            local finish = packet.offset + packet.length
            text = ("%s bytes %d to %d of %d"):format(text, packet.offset, finish, packet.total)
        else
            text = ("%s %d B"):format(text, packet.length)
        end
        return text
    end

    local function find(tvb, pinfo, packet, notes, complete)
        if packet.type == 1 or packet.type == 2 then
            watch.search(notes, pinfo, packet)
        elseif packet.type == 3 or packet.type == 4 then
            watch.packet(notes, pinfo, packet)
            local fragment = packet.length > 0 and packet.length < packet.total
            local sound = packet.offset + packet.length <= packet.total and packet.total <= 65481
            if packet.type == 3 and fragment and sound and complete and not notes.copy_of then
                watch.fragment(notes, pinfo, packet, tvb(HEADER, packet.length):bytes())
            end
        end
    end

    return function(tvb, pinfo, root, proto)
        pinfo.cols.protocol = "FLIP"
        pinfo.cols.info = "FLIP"
        local there = tvb:len()
        if there < HEADER then
            local tree = root:add(proto, tvb())
            local cut = tvb:reported_len() > there
            tree:add_proto_expert_info(cut and e.cut or e.short)
            pinfo.cols.info = cut and "(cut by the capture)" or "(too short)"
            return there
        end
        local tree = root:add(proto, tvb(0, HEADER))
        local packet = {
            version = tvb(0, 1):uint(),
            type = tvb(1, 1):uint(),
            flags = tvb(2, 1):uint(),
            hop = tvb(4, 2):le_uint(),
            max_hop = tvb(6, 2):le_uint(),
            destination = tools.digits(tvb, 8),
            source = tools.digits(tvb, 16),
            id = tvb(24, 4):le_uint(),
            length = tvb(28, 4):le_uint(),
            offset = tvb(32, 4):le_uint(),
            total = tvb(36, 4):le_uint(),
        }
        packet.link = link()
        header(tvb, tree, packet)
        local name = names.flip_type[packet.type]
        tree:append_text(", " .. (name or "type " .. packet.type))
        if packet.version ~= 1 then
            tree:add_proto_expert_info(e.version)
            pinfo.cols.info = "unknown version " .. packet.version
            return there
        elseif not name then
            tree:add_proto_expert_info(e.type)
            pinfo.cols.info = "unknown type " .. packet.type
            return there
        end
        local way = watch.name(packet.source) .. "→" .. watch.name(packet.destination)
        packet.way = way
        complain(packet, pinfo, tree)
        local complete = there - HEADER >= packet.length
        if not complete then
            local cut = tvb:reported_len() - HEADER >= packet.length
            tree:add_proto_expert_info(cut and e.cut or e.length)
            packet.cut = cut
            -- Nothing of a frame that every node drops is to be believed.
            if not cut then
                pinfo.cols.info = way .. " " .. name .. " (too short)"
                return there
            end
        end
        local notes = watch.notes(pinfo, "flip", function(notes)
            find(tvb, pinfo, packet, notes, complete)
        end)
        if notes.copy_of then
            tree:add_proto_expert_info(e.copy)
            tools.found(tree, f.copy_of, notes.copy_of)
        end
        tools.found(tree, f.from, notes.from)
        local text
        if packet.type == 1 or packet.type == 2 then
            text = search(tvb, pinfo, tree, packet, notes)
        elseif packet.type == 3 or packet.type == 4 then
            text = data(tvb, pinfo, tree, root, packet, notes)
        else
            tree:add_proto_expert_info(packet.type == 5 and e.nothere or e.untrusted)
            text = name .. " " .. tools.short(packet.source)
        end
        if text then
            pinfo.cols.info = way .. " " .. text
        end
        if complete and there > HEADER + packet.length then
            tree:add(f.padding, tvb(HEADER + packet.length))
        end
        return there
    end
end
