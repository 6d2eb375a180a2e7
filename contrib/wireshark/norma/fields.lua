-- The fields that filters and columns can name, and the remarks on frames.
--
-- Owns their names, types and words. Leaves to the dissectors where in a frame they are.
-- Everything is `norma.…`, for `flip` is another protocol's name in Wireshark.

return function(flip, norma, names)
    local fields, experts = {}, {}
    local F, E = ProtoField, ProtoExpert

    local function by_number(table)
        local copy = {}
        for number, name in pairs(table) do
            copy[number] = name
        end
        return copy
    end

    -- One field for each flag, in the order of their bits.
    local function flags(prefix, bits, table)
        local list = {}
        for bit = 0, bits - 1 do
            local value = math.floor(2 ^ bit)
            local name = table[value]
            if name then
                list[#list + 1] = F.bool(prefix .. name:lower(), name, bits, nil, value)
            end
        end
        return list
    end

    local function list_of(table)
        local list = {}
        for _, field in pairs(table) do
            if type(field) == "table" then
                for _, one in pairs(field) do
                    list[#list + 1] = one
                end
            else
                list[#list + 1] = field
            end
        end
        return list
    end

    -- FLIP (chapters 2 to 5).
    fields.flip = {
        version = F.uint8("norma.flip.version", "Version"),
        type = F.uint8("norma.flip.type", "Type", base.DEC, by_number(names.flip_type)),
        flags = F.uint8("norma.flip.flags", "Flags", base.HEX),
        flag = flags("norma.flip.flags.", 8, names.flip_flag),
        hop = F.uint16("norma.flip.hop", "Actual hop"),
        max_hop = F.uint16("norma.flip.max_hop", "Maximum hop"),
        destination = F.uint64("norma.flip.destination", "Destination", base.HEX),
        source = F.uint64("norma.flip.source", "Source", base.HEX),
        address = F.uint64("norma.flip.address", "Source or destination", base.HEX),
        id = F.uint32("norma.flip.id", "Message id"),
        length = F.uint32("norma.flip.length", "Length"),
        offset = F.uint32("norma.flip.offset", "Offset"),
        total = F.uint32("norma.flip.total", "Total"),
        receivers = F.uint16("norma.flip.receivers", "Receivers"),
        trusted = F.uint16("norma.flip.trusted", "Receivers over trusted networks"),
        payload = F.bytes("norma.flip.payload", "Payload"),
        padding = F.bytes("norma.flip.padding", "Padding of the link"),
        fragment = F.framenum("norma.flip.fragment", "Fragment"),
        whole_in = F.framenum("norma.flip.reassembled_in", "Reassembled in"),
        locate_in = F.framenum("norma.flip.locate_in", "LOCATE in", base.NONE, frametype.REQUEST),
        found_in = F.framenum("norma.flip.hereis_in", "HEREIS in", base.NONE, frametype.RESPONSE),
        found_time = F.relative_time("norma.flip.locate_time", "Time since LOCATE"),
        copy_of = F.framenum("norma.flip.copy_of", "Copy of", base.NONE, frametype.DUP_ACK),
        from = F.framenum("norma.flip.forwarded_from", "Passed on by a router; came in"),
    }

    -- Sessions (chapters 6 to 13).
    fields.norma = {
        version = F.uint8("norma.version", "Version"),
        kind = F.uint8("norma.kind", "Kind", base.DEC, by_number(names.kind)),
        flags = F.uint16("norma.flags", "Flags", base.HEX),
        flag = flags("norma.flags.", 16, names.flag),
        session = F.uint32("norma.session", "Session (receiver's number)"),
        sequence = F.uint32("norma.sequence", "Sequence"),
        acknowledged = F.uint32("norma.acknowledged", "Acknowledged: all before"),
        selective = F.uint32("norma.selective", "Selective", base.HEX),
        credit = F.uint8("norma.credit", "Credit"),
        rights = F.uint8("norma.rights", "Rights"),
        inline = F.uint16("norma.inline", "Inline bytes"),
        destination = F.uint32("norma.destination", "Destination", base.HEX),
        reply = F.uint32("norma.reply", "Reply right", base.HEX),
        id = F.uint32("norma.id", "Id"),
        memory = F.uint32("norma.memory", "Out-of-line bytes"),
        after = F.uint16("norma.after", "After"),
        key = F.uint32("norma.key", "Key"),
        tag = F.bytes("norma.tag", "Tag"),
        check = F.uint32("norma.check", "Check", base.HEX),
        check_good = F.bool("norma.check.good", "Check holds"),
        check_expected = F.uint32("norma.check.expected", "Check that would hold", base.HEX),
        unused = F.uint32("norma.unused", "Unused", base.HEX),
        part_of = F.uint32("norma.part_of", "Sequence of the MESSAGE"),
        first_page = F.uint32("norma.first_page", "First page"),
        held_back = F.uint32("norma.held_back", "Held back (µs)"),
        probe = F.uint32("norma.probe", "Probe"),
        quoted = F.uint32("norma.quoted", "Quoted session"),
        more_acknowledged = F.bytes("norma.more_acknowledged", "Further frames that have arrived"),
        from = F.string("norma.from", "From node"),
        to = F.string("norma.to", "To node"),
        service = F.string("norma.service", "Service"),
        -- HELLO and WELCOME.
        lowest = F.uint8("norma.hello.lowest", "Lowest version"),
        highest = F.uint8("norma.hello.highest", "Highest version"),
        features = F.uint32("norma.hello.features", "Features", base.HEX),
        incarnation = F.uint64("norma.hello.incarnation", "Incarnation", base.HEX),
        cluster = F.bytes("norma.hello.cluster", "Cluster"),
        hello_session = F.uint32("norma.hello.session", "Session (sender's number)"),
        echo = F.uint32("norma.hello.echo", "Echo"),
        frame_limit = F.uint32("norma.hello.frame_limit", "Frame limit"),
        first_sequence = F.uint32("norma.hello.first_sequence", "First sequence"),
        name = F.string("norma.hello.name", "Node"),
        -- CONTROL.
        control = F.uint32("norma.control", "Operation", base.DEC, by_number(names.control)),
        export = F.uint32("norma.export", "Export index", base.HEX),
        count = F.uint32("norma.release.count", "Rights released"),
        refused = F.uint32("norma.refused.sequence", "Sequence of the MESSAGE"),
        refusal = F.uint32("norma.refused.reason", "Reason", base.DEC, by_number(names.refusal)),
        -- The parts of a message.
        data = F.bytes("norma.data", "Inline data"),
        text = F.string("norma.data.text", "Inline data as text"),
        head_padding = F.bytes("norma.head_padding", "Padding of the head"),
        pages = F.bytes("norma.pages", "Pages"),
        trailer = F.bytes("norma.trailer", "Trailer"),
        piece = F.framenum("norma.memory.frame", "Pages in"),
        whole_in = F.framenum("norma.memory.reassembled_in", "Memory complete in"),
        whole = F.bytes("norma.memory.data", "Out-of-line memory"),
        message_in = F.framenum("norma.message_in", "MESSAGE in"),
        -- Rights.
        right = F.uint8("norma.right.kind", "Kind", base.DEC, by_number(names.right)),
        origin = F.uint8("norma.right.origin", "Origin", base.DEC, by_number(names.origin)),
        moves = F.uint16("norma.right.moves", "Moves"),
        index = F.uint32("norma.right.index", "Export index", base.HEX),
        port = F.uint64("norma.right.port", "Port", base.HEX),
        node = F.uint64("norma.right.node", "Node", base.HEX),
        right_session = F.uint32("norma.right.session", "Session (of node's number)"),
        there = F.uint32("norma.right.there", "Export index there", base.HEX),
        to_port = F.string("norma.port", "Port of the destination"),
        passed_in = F.framenum("norma.right_in", "Right was passed in"),
        -- The call context.
        deadline = F.uint64("norma.context.deadline", "Nanoseconds left", base.DEC),
        trace = F.bytes("norma.context.trace", "Trace"),
        priority = F.uint8("norma.context.priority", "Priority"),
        -- Items.
        item = F.uint8("norma.item.kind", "Kind", base.DEC, by_number(names.item)),
        width = F.uint8("norma.item.width", "Width"),
        item_flags = F.uint8("norma.item.flags", "Flags", base.HEX),
        item_count = F.uint32("norma.item.count", "Count"),
        value = F.string("norma.item.value", "Value"),
        values = F.bytes("norma.item.bytes", "Values"),
        -- What is said to nodes and by kernels.
        operation = F.uint32("norma.operation", "Operation", base.DEC, by_number(names.operation)),
        status = F.uint32("norma.status", "Answer", base.DEC, by_number(names.status)),
        look_up = F.string("norma.look_up", "Name sought"),
        slot = F.uint32("norma.special_port", "Slot", base.DEC, by_number(names.slot)),
        asked_session = F.uint32("norma.acquire.session", "Session"),
        asked_there = F.uint32("norma.acquire.there", "Export index there", base.HEX),
        taken_x = F.uint32("norma.taken.x", "X: export that held the receive right", base.HEX),
        taken_y = F.uint32("norma.taken.y", "Y: send right to the port", base.HEX),
        taken_w = F.uint32("norma.taken.w", "W: send-once right", base.HEX),
        waits_first = F.uint64("norma.waits.first", "Port with which it began", base.HEX),
        waits_for = F.uint64("norma.waits.awaited", "Port that is awaited", base.HEX),
        waits_passed = F.uint32("norma.waits.passed", "Nodes passed"),
        notification = F.uint32("norma.notification", "News", base.DEC, by_number(names.notification)),
        news_number = F.uint32("norma.notification.number", "Number"),
        reason = F.uint32("norma.notification.reason", "Reason", base.DEC, by_number(names.reason)),
        news_node = F.uint64("norma.notification.node", "Node", base.HEX),
        limit = F.uint16("norma.state.limit", "Limit of the queue"),
        state_flags = F.uint8("norma.state.flags", "Flags", base.HEX),
        senders = F.bool("norma.state.senders", "Somebody can send from there", 8, nil, 1),
        no_senders = F.bool("norma.state.no_senders", "A right for no senders", 8, nil, 2),
        destroyed = F.bool("norma.state.destroyed", "A right for the receive right", 8, nil, 4),
        items = F.uint32("norma.state.items", "Items that follow"),
        onces = F.uint32("norma.state.send_once_rights", "Send-once rights there"),
        -- What belongs to what.
        answer_in = F.framenum("norma.response_in", "Answer in", base.NONE, frametype.RESPONSE),
        call_in = F.framenum("norma.request_in", "Call in", base.NONE, frametype.REQUEST),
        time = F.relative_time("norma.response_time", "Time since the call"),
        passed_on = F.framenum("norma.passed_on_in", "Call was passed on in"),
        no_reply_in = F.framenum("norma.no_reply_in", "NO_REPLY in", base.NONE, frametype.RESPONSE),
        refused_in = F.framenum("norma.refused_in", "REFUSED in", base.NONE, frametype.RESPONSE),
        hello_in = F.framenum("norma.hello_in", "HELLO in", base.NONE, frametype.REQUEST),
        hello_time = F.relative_time("norma.hello_time", "Time since HELLO"),
        probe_in = F.framenum("norma.probe_in", "PROBE in", base.NONE, frametype.REQUEST),
        probe_time = F.relative_time("norma.probe_time", "Time since PROBE"),
        under_way = F.uint32("norma.under_way", "Frames under way, with this one"),
        permitted = F.uint32("norma.permitted", "Frames that may be (credit)"),
        again = F.framenum("norma.retransmission_of", "Sent first in", base.NONE, frametype.RETRANS_PREV),
    }

    local bad, odd, note = expert.severity.ERROR, expert.severity.WARN, expert.severity.NOTE
    local group = expert.group
    local function e(name, text, class, severity)
        return E.new("norma." .. name, text, class, severity)
    end

    experts.flip = {
        short = e("flip.error.short", "The frame ends before its header does (W-1)", group.MALFORMED, bad),
        length = e("flip.error.length", "The frame is shorter than its length says (W-3)", group.MALFORMED, bad),
        cut = e("flip.cut", "The capture has not all of this frame", group.UNDECODED, note),
        version = e("flip.error.version", "Unknown version of FLIP (W-4)", group.PROTOCOL, bad),
        type = e("flip.error.type", "Unknown type of packet (W-5)", group.PROTOCOL, bad),
        total = e("flip.error.total", "Offset and length exceed the total (W-5)", group.MALFORMED, bad),
        hops = e("flip.error.hops", "More hops than permitted (W-7)", group.PROTOCOL, bad),
        source = e("flip.error.source", "No address as source (W-8)", group.PROTOCOL, bad),
        station = e("flip.error.station", "The source is a group of stations (W-2)", group.PROTOCOL, bad),
        broadcast = e("flip.error.broadcast", "UNIDATA in a broadcast frame (W-11)", group.PROTOCOL, bad),
        empty = e("flip.error.empty", "A fragment of length 0 (W-13)", group.PROTOCOL, bad),
        overlap = e("flip.error.overlap", "Fragments contradict each other (W-13)", group.REASSEMBLE, bad),
        counts = e("flip.error.counts", "Bad counts of receivers (W-16)", group.PROTOCOL, bad),
        payload = e("flip.error.payload", "A payload that does not belong here (W-14 to W-16)", group.PROTOCOL, odd),
        copy = e("flip.copy", "The wire has repeated this frame", group.SEQUENCE, odd),
        nothere = e("flip.nothere", "The address is not there", group.RESPONSE_CODE, note),
        untrusted = e("flip.untrusted", "No way over trusted networks", group.RESPONSE_CODE, note),
    }

    experts.norma = {
        short = e("error.short", "The datagram ends before the session header does", group.MALFORMED, bad),
        version = e("error.version", "Unknown version of sessions (W-19)", group.PROTOCOL, bad),
        kind = e("error.kind", "Unknown kind of frame (W-19)", group.PROTOCOL, bad),
        flags = e("error.flags", "Unknown flag (W-19)", group.PROTOCOL, bad),
        length = e("error.length", "Wrong length for this kind of frame (W-20)", group.MALFORMED, bad),
        layout = e("error.layout", "The lengths of the message contradict each other (W-22)", group.MALFORMED, bad),
        part = e("error.part", "A PART with data, rights or without pages (W-23)", group.MALFORMED, bad),
        right = e("error.right", "Unknown kind or origin of a right (W-24)", group.PROTOCOL, bad),
        check = e("error.check", "The check does not hold (W-64)", group.CHECKSUM, bad),
        hello = e("error.hello", "Bad versions or name (W-21)", group.PROTOCOL, bad),
        control = e("error.control", "Unknown operation, or one without sense (W-26)", group.PROTOCOL, bad),
        item = e("error.item", "Not an item (W-66)", group.MALFORMED, bad),
        inline = e("error.inline", "The inline data are not what this message has", group.MALFORMED, odd),
        session = e("error.session", "Session 0 (W-27)", group.PROTOCOL, odd),
        reply = e("error.reply", "CONFIRM asks for nothing without a reply right (W-85)", group.PROTOCOL, odd),
        sealed = e("sealed", "The frame is sealed; its check was not tried", group.DECRYPTION, note),
        again = e("retransmission", "The frame is sent again", group.SEQUENCE, odd),
        refused = e("refused", "A message was refused", group.RESPONSE_CODE, note),
        room = e("room", "The port has room again", group.RESPONSE_CODE, note),
        no_reply = e("no_reply", "No reply will come", group.RESPONSE_CODE, note),
        dead = e("dead", "The port is dead", group.RESPONSE_CODE, note),
        moved = e("moved", "The receive right has gone to another node", group.RESPONSE_CODE, note),
        reset = e("reset", "The sender knows no such session", group.RESPONSE_CODE, note),
        status = e("status", "The answer is not that it is done", group.RESPONSE_CODE, note),
    }

    flip.fields = list_of(fields.flip)
    norma.fields = list_of(fields.norma)
    flip.experts = list_of(experts.flip)
    norma.experts = list_of(experts.norma)
    return fields, experts
end
