-- Typed inline data: items, one behind the other (docs/wire.md, chapter 13).

return function(names, tools, fields, experts)
    local f, e = fields.norma, experts.norma
    local DESCRIPTOR, PAGE, SHOWN, DEEPEST = 8, 4096, 16, 16

    local widths = {
        [1] = { [1] = true, [2] = true, [4] = true, [8] = true, [16] = true },
        [2] = { [1] = true, [2] = true, [4] = true, [8] = true, [16] = true },
        [3] = { [4] = true, [8] = true },
        [4] = { [1] = true },
        [5] = { [1] = true },
        [6] = { [1] = true },
        [7] = { [0] = true },
        [8] = { [0] = true },
        [9] = { [0] = true },
        [10] = { [0] = true },
    }

    local function value(kind, range, big)
        local width = range:len()
        if kind == 3 then
            return tostring(big and range:float() or range:le_float())
        elseif kind == 4 then
            return range:uint() == 0 and "false" or "true"
        elseif width == 16 then
            return "0x" .. range:bytes():tohex(true)
        elseif width == 8 then
            if kind == 2 then
                return tostring(big and range:int64() or range:le_int64())
            end
            return tostring(big and range:uint64() or range:le_uint64())
        elseif kind == 2 then
            return ("%d"):format(big and range:int() or range:le_int())
        end
        return ("%d"):format(big and range:uint() or range:le_uint())
    end

    local function values(range, kind, width, count, big)
        if kind == 6 then
            return tools.text(range(0, math.min(range:len(), 200)))
        elseif kind == 5 then
            return range:bytes():tohex(true):sub(1, 100)
        end
        local list = {}
        for i = 0, math.min(count, SHOWN) - 1 do
            list[#list + 1] = value(kind, range(i * width, width), big)
        end
        return table.concat(list, ", ") .. (count > SHOWN and ", …" or "")
    end

    -- `range` has the inline data. Stops at the first item that is none.
    return function(range, tree, big)
        local at, finish = 0, range:len()
        local memory, rights = 0, 0
        -- Lists that are not at their end: where they are shown, and how many items they lack.
        local lists = {}
        while at < finish do
            local into = #lists > 0 and lists[#lists].tree or tree
            if finish - at < DESCRIPTOR then
                return into:add_proto_expert_info(e.item)
            end
            local kind, width = range(at, 1):uint(), range(at + 1, 1):uint()
            local outside = tools.has(range(at + 2, 1):uint(), 1)
            local count = big and range(at + 4, 4):uint() or range(at + 4, 4):le_uint()
            local size = width * count
            local inside = (outside or width == 0) and 0 or math.ceil(size / 8) * 8
            local known = widths[kind] and widths[kind][width] and not (outside and kind > 5)
                and not (outside and kind == 4)
            if not known or inside > finish - at - DESCRIPTOR then
                local item = into:add(range(at, finish - at), "Not an item")
                return item:add_proto_expert_info(e.item)
            end
            local item = into:add(range(at, DESCRIPTOR + inside), names.item[kind])
            item:add(f.item, range(at, 1))
            item:add(f.width, range(at + 1, 1))
            item:add(f.item_flags, range(at + 2, 1))
            if big then
                item:add(f.item_count, range(at + 4, 4))
            else
                item:add_le(f.item_count, range(at + 4, 4))
            end
            local text
            if outside then
                text = ("%d bytes at byte %d of the memory"):format(size, memory)
                memory = memory + math.ceil(size / PAGE) * PAGE
            elseif kind >= 8 then
                text = count == 0 and "none" or ("rights %d to %d"):format(rights + 1, rights + count)
                rights = rights + count
            elseif kind == 7 then
                text = ("of %d"):format(count)
            elseif size > 0 then
                item:add(f.values, range(at + DESCRIPTOR, size))
                text = values(range(at + DESCRIPTOR, size), kind, width, count, big)
            else
                text = "empty"
            end
            tools.found(item, f.value, text)
            item:append_text(": " .. text)
            at = at + DESCRIPTOR + inside
            if #lists > 0 then
                lists[#lists].left = lists[#lists].left - 1
            end
            if kind == 7 and count > 0 and #lists < DEEPEST then
                lists[#lists + 1] = { tree = item, left = count }
            end
            while #lists > 0 and lists[#lists].left == 0 do
                lists[#lists] = nil
            end
        end
    end
end
