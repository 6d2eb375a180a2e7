-- What is known from the frames so far: which belongs to which.
--
-- Owns all that is kept between frames, and forgets it when another file is opened. Wireshark
-- shows a frame again and again, in any order, but first all of them in theirs: everything is
-- found out in that first pass and written down under the frame's number. What comes later (the
-- answer to a call) is written into what the earlier frame has noted.
-- Leaves to the dissectors what is shown.

return function(tools)
    local watch = {}

    -- Out-of-line memory is put together up to so many bytes, of one message and of all: more
    -- would be kept twice for little use.
    watch.largest = 1024 * 1024
    local all = 64 * 1024 * 1024

    function watch.forget()
        watch.frames = {}
        watch.names = {}
        watch.labels = {}
        watch.slots = {}
        watch.locates = {}
        watch.hellos = {}
        watch.datagrams = {}
        watch.halves = {}
        watch.sessions = {}
        watch.pairs = {}
        watch.kept = 0
    end
    watch.forget()

    -- The notes on a frame; the first time, `find` makes them.
    function watch.notes(pinfo, layer, find)
        local key = layer .. pinfo.number
        local notes = watch.frames[key]
        if not notes then
            notes = {}
            watch.frames[key] = notes
            find(notes)
        end
        return notes
    end

    -- Whether a node is known by name.
    function watch.name(address)
        return watch.names[address] or tools.short(address)
    end

    -- FLIP -------------------------------------------------------------------------------

    -- Whether these packets are one: repeated by the wire, or passed on by a router.
    function watch.packet(notes, pinfo, packet)
        local key = table.concat({ packet.source, packet.destination, packet.id, packet.offset }, "|")
        local first = watch.datagrams[key]
        if not first then
            watch.datagrams[key] = { frame = pinfo.number, hop = packet.hop, link = packet.link }
        elseif first.hop < packet.hop then
            notes.from = first.frame
        elseif first.hop == packet.hop and first.link == packet.link then
            notes.copy_of = first.frame
        end
    end

    -- LOCATE and what answers it.
    function watch.search(notes, pinfo, packet)
        if packet.type == 1 then
            local key = packet.source .. packet.destination
            watch.locates[key] = { frame = pinfo.number, time = pinfo.rel_ts }
            notes.search = watch.locates[key]
        elseif packet.type == 2 then
            local search = watch.locates[packet.destination .. packet.source]
            if search then
                search.found = search.found or pinfo.number
                notes.answered = search
                notes.time = pinfo.rel_ts - search.time
            end
        end
    end

    -- Puts fragments together (W-13). The bytes are in `notes.whole.bytes` of the last one.
    function watch.fragment(notes, pinfo, packet, bytes)
        local key = table.concat({ packet.source, packet.destination, packet.id, packet.hop }, "|")
        local half = watch.halves[key]
        if half and pinfo.rel_ts - half.time > 1 then
            half = nil
        end
        if not half then
            half = { time = pinfo.rel_ts, total = packet.total, pieces = {}, frames = {}, got = 0 }
            watch.halves[key] = half
        end
        local at, finish, known = packet.offset, packet.offset + packet.length, 0
        for _, piece in ipairs(half.pieces) do
            known = known + math.max(0, math.min(finish, piece.finish) - math.max(at, piece.at))
        end
        if half.total ~= packet.total or (known > 0 and known < packet.length) then
            notes.overlap = true
            watch.halves[key] = nil
            return
        end
        notes.whole = half
        if known > 0 then
            return
        end
        half.pieces[#half.pieces + 1] = { at = at, finish = finish, bytes = bytes }
        half.frames[#half.frames + 1] = pinfo.number
        half.got = half.got + packet.length
        if half.got == half.total then
            table.sort(half.pieces, function(one, other) return one.at < other.at end)
            half.bytes = ByteArray.new()
            for _, piece in ipairs(half.pieces) do
                half.bytes:append(piece.bytes)
            end
            half.pieces = {}
            half.finished = pinfo.number
            watch.halves[key] = nil
        end
    end

    -- Sessions ---------------------------------------------------------------------------

    local function new_session()
        return { number = {}, sent = {}, acknowledged = {}, exports = {}, calls = {}, probes = {} }
    end

    local function of(table, key)
        local inner = table[key]
        if not inner then
            inner = {}
            table[key] = inner
        end
        return inner
    end

    local function place(node, session)
        return node .. "#" .. tools.key(session)
    end

    -- The session of a frame: by the number that its receiver chose, or if none was heard of,
    -- the one of these two nodes that lacks it.
    local function session_of(frame)
        local key = place(frame.destination, frame.session)
        local session = watch.sessions[key]
        if session then
            return session
        end
        local one, other = frame.source, frame.destination
        local pair = one < other and one .. other or other .. one
        session = watch.pairs[pair]
        if not session or session.number[frame.destination] then
            session = new_session()
            watch.pairs[pair] = session
        end
        session.number[frame.destination] = frame.session
        watch.sessions[key] = session
        return session
    end

    -- WELCOME says both numbers.
    local function welcome(notes, pinfo, frame)
        local mine = place(frame.source, frame.hello.session)
        local theirs = place(frame.destination, frame.hello.echo)
        local session = watch.sessions[mine] or watch.sessions[theirs] or new_session()
        session.number[frame.source] = frame.hello.session
        session.number[frame.destination] = frame.hello.echo
        watch.sessions[mine] = session
        watch.sessions[theirs] = session
        local hello = watch.hellos[theirs]
        if hello then
            notes.hello = hello
            notes.time = pinfo.rel_ts - hello.time
            hello.answered = hello.answered or pinfo.number
        end
    end

    local function hello(notes, pinfo, frame)
        local key = place(frame.source, frame.hello.session)
        local first = watch.hellos[key]
        if not first then
            local made = { frame = pinfo.number, time = pinfo.rel_ts, id = frame.datagram }
            watch.hellos[key] = made
        elseif first.id ~= frame.datagram then
            notes.again = first.frame
        end
        notes.hello = watch.hellos[key]
    end

    -- A right that is passed: which port the index means from now on.
    local function passed(session, frame, right, pinfo, call)
        if right.kind > 3 or right.index < 2 then
            return
        end
        local home = right.origin == 2
        local exports = of(session.exports, home and frame.destination or frame.source)
        local key = tools.key(right.index)
        if not home then
            exports[key] = { port = right.port, frame = pinfo.number }
        end
        local export = exports[key]
        if call and call.label and right.port ~= tools.nobody then
            watch.labels[right.port] = call.label
            watch.slots[right.port] = call.slot
        end
        right.label = export and watch.labels[export.port]
    end

    -- A message that asks for an answer.
    local function call(notes, session, frame, pinfo)
        local reply = frame.rights and frame.rights.reply
        local calls = of(session.calls, frame.source)
        local made
        if reply and reply.origin == 3 then
            -- Passed on: the answer will go to whoever called first.
            local there = watch.sessions[place(reply.node, reply.session)]
            made = there and of(there.calls, reply.node)[tools.key(reply.there)]
        elseif reply and reply.origin == 2 then
            made = of(session.calls, frame.destination)[tools.key(reply.index)]
        end
        if made then
            made.passed_on = made.passed_on or pinfo.number
            notes.passed_on = made
        else
            made = { frame = pinfo.number, time = pinfo.rel_ts, source = frame.source }
            made.label, made.slot, made.node = frame.label, frame.slot, frame.node_call
            made.port = notes.export and notes.export.port
            notes.call = made
        end
        if frame.reply ~= 0 then
            calls[tools.key(frame.reply)] = made
        elseif reply and reply.origin ~= 2 then
            calls[tools.key(reply.index)] = made
        end
    end

    -- A message to a send-once right.
    local function answer(notes, session, frame, pinfo)
        local claim = frame.rights and frame.rights.claim
        local made
        if frame.message_to == 0 and claim then
            local there = watch.sessions[place(frame.destination, claim.session)]
            made = there and of(there.calls, frame.destination)[tools.key(claim.there)]
        else
            made = of(session.calls, frame.destination)[tools.key(frame.message_to)]
        end
        if made then
            notes.answer = made
            notes.time = pinfo.rel_ts - made.time
            if frame.destination == made.source or not made.answered then
                made.answered = pinfo.number
            end
        end
    end

    local function message(notes, session, frame, pinfo)
        local export = of(session.exports, frame.destination)[tools.key(frame.message_to)]
        if export then
            notes.export = export
            notes.slot = watch.slots[export.port]
        end
        if frame.send_once then
            answer(notes, session, frame, pinfo)
        end
        if frame.reply ~= 0 or (frame.rights and frame.rights.reply) then
            call(notes, session, frame, pinfo)
        end
        for _, right in ipairs(frame.rights or {}) do
            passed(session, frame, right, pinfo, notes.answer)
        end
        if frame.taken then
            -- Y is a right to the port whose receive right X was.
            local x = of(session.exports, frame.destination)[tools.key(frame.taken.x)]
            local exports = of(session.exports, frame.source)
            exports[tools.key(frame.taken.y)] = { port = x and x.port or "", frame = pinfo.number }
        end
    end

    -- A message's place, made by whichever of its frames comes first.
    local function body(session, source, sequence)
        local messages = of(session, "messages" .. source)
        local key = tools.key(sequence)
        messages[key] = messages[key] or { pieces = {}, frames = {}, got = 0 }
        return messages[key]
    end

    local function pages(notes, made, frame, pinfo)
        notes.memory = made
        made.size = frame.memory
        local wanted = math.ceil(frame.memory / 4096)
        local first = frame.first_page
        local count = math.ceil(frame.pages / 4096)
        if count == 0 or made.finished or first + count > wanted or made.pieces[first] then
            return
        end
        local piece = { count = count }
        made.pieces[first] = piece
        made.frames[#made.frames + 1] = pinfo.number
        made.got = made.got + count
        if frame.memory <= watch.largest and watch.kept < all then
            piece.bytes = frame.page_range:bytes()
            watch.kept = watch.kept + piece.bytes:len()
        else
            made.too_large = true
        end
        if made.got < wanted then
            return
        end
        made.finished = pinfo.number
        if not made.too_large then
            local whole, page = ByteArray.new(), 0
            while made.pieces[page] do
                whole:append(made.pieces[page].bytes)
                page = page + made.pieces[page].count
            end
            -- Where a trailer follows, the last page is sent whole.
            if page == wanted and whole:len() >= frame.memory then
                made.bytes = whole:subset(0, frame.memory)
            end
        end
        made.pieces = {}
    end

    local function control(notes, session, frame)
        local theirs = of(session.calls, frame.destination)
        local operation, key = frame.operation, tools.key(frame.argument)
        if operation == 3 then
            local made = body(session, frame.destination, frame.argument)
            made.refused = made.refused or frame.number
            notes.message = made
        elseif operation == 5 then
            local made = theirs[key]
            if made then
                made.no_reply = made.no_reply or frame.number
                notes.answer = made
            end
        elseif operation == 7 then
            notes.answer = theirs[key]
        else
            local home = operation == 1 and frame.destination or frame.source
            notes.export = of(session.exports, home)[key]
        end
    end

    local function probe(notes, session, frame, pinfo)
        if frame.probe == 0 then
            return
        end
        local key = tools.key(frame.probe)
        if frame.kind == 6 then
            local made = { frame = pinfo.number, time = pinfo.rel_ts }
            of(session.probes, frame.source)[key] = made
        else
            local made = of(session.probes, frame.destination)[key]
            if made then
                notes.probe = made
                notes.time = pinfo.rel_ts - made.time
            end
        end
    end

    -- How many frames of this one's sender nothing has acknowledged, and how many may be under
    -- way: by what has been seen of the other side, which may be later than what the sender knew.
    local function window(notes, session, frame)
        local last = session.acknowledged[frame.destination]
        local behind = last and (frame.sequence - last.number) % 2 ^ 32
        if behind and behind < 2 ^ 31 then
            notes.under_way = behind + 1
            notes.permitted = last.credit
        end
    end

    local function acknowledge(session, frame)
        local last = session.acknowledged[frame.source]
        -- An older one may come later (W-37).
        if not last or (frame.acknowledged - last.number) % 2 ^ 32 < 2 ^ 31 then
            local said = { number = frame.acknowledged, credit = frame.credit_frames }
            session.acknowledged[frame.source] = said
        end
    end

    -- What a frame of a session, whose check holds, tells about others.
    function watch.frame(notes, pinfo, frame)
        frame.number = pinfo.number
        if frame.kind == 1 then
            return hello(notes, pinfo, frame)
        elseif frame.kind == 2 then
            return welcome(notes, pinfo, frame)
        elseif frame.kind == 7 then
            return
        end
        local session = session_of(frame)
        acknowledge(session, frame)
        if frame.kind == 5 or frame.kind == 6 then
            return probe(notes, session, frame, pinfo)
        end
        local sent, key = of(session.sent, frame.source), tools.key(frame.sequence)
        local first = sent[key]
        if first then
            -- The same datagram: repeated or passed on, which FLIP says. Another: sent again.
            -- Either way it is about what the first one was about.
            if first.id ~= frame.datagram then
                notes.again = first.frame
            end
            setmetatable(notes, { __index = first.notes })
            return
        end
        sent[key] = { frame = pinfo.number, id = frame.datagram, notes = notes }
        window(notes, session, frame)
        if frame.kind == 3 then
            local made = body(session, frame.source, frame.sequence)
            made.frame = pinfo.number
            notes.message = made
            message(notes, session, frame, pinfo)
            if frame.memory > 0 then
                pages(notes, made, frame, pinfo)
            end
        elseif frame.kind == 4 then
            local made = body(session, frame.source, frame.message)
            notes.message = made
            pages(notes, made, frame, pinfo)
        else
            control(notes, session, frame)
        end
    end

    return watch
end
