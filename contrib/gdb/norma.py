"""What a node of norma knows of itself, for gdb: threads, ports, messages.

`cargo norma gdb NODE` loads this; docs/gdb.md tells what the commands say. Everything is read from
the node's memory by the types in the image's debug information, and nothing is called or written:
the node goes on as if nobody had looked.

Why frames are walked here and not by gdb: threads that do not run are nothing that QEMU's stub
knows of, and to show gdb their registers it would have to be given others.
"""

import re

import gdb

WORD = 8
# More frames than any thread has.
DEPTH = 64
# In the place of the next free slot: this one is in use. Index of nobody (kernel/ipc/src/slab.rs,
# wait.rs).
USED = 0xFFFF_FFFE
NOBODY = 0xFFFF_FFFF

PAGE = 4096
# Pages of the largest stack.
STACK_PAGES = 16
# Where RAM is (kernel/src/arch/x86_64/layout.rs).
DIRECT_MAP = 0xFFFF_8000_0000_0000
DIRECT_MAP_END = 0xFFFF_A000_0000_0000
# What a message has room for at most (kernel/ipc/src/limits.rs), and some more for growth.
MOST_DATA = 1 << 17
MOST_RIGHTS = 1 << 12

STATES = {0: "running", 1: "ended", 2: "ready", 3: "blocked"}


class Unknown(gdb.GdbError):
    """Something is not as this script knows it."""


# --- Values of Rust ---------------------------------------------------------------------------


def static(name):
    """The value of a static variable."""
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if symbol is None:
        raise Unknown(
            f"the image says nothing of {name}: start gdb by `cargo norma gdb NODE`, "
            "with the image that the node runs"
        )
    return symbol.value()


def inside(value):
    """The value in whatever only wraps it: cells, unions of one, pointers that own."""
    while True:
        names = [field.name for field in value.type.strip_typedefs().fields()]
        real = [name for name in names if name not in ("uninit", "__phantom", "marker", "_marker")]
        if len(real) != 1 or real[0] not in ("value", "__0", "pointer", "inner", "ptr"):
            return value
        value = value[real[0]]
        if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return value


def find(value, wanted):
    """The first field of this name, however deep it lies."""
    kind = value.type.strip_typedefs()
    if kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    for field in kind.fields():
        if field.name == wanted:
            return value[field.name]
    for field in kind.fields():
        if field.name and not field.artificial:
            found = find(value[field.name], wanted)
            if found is not None:
                return found
    return None


def pointer_in(value):
    """The first pointer in a value, as a number."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        return int(value)
    if kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        for field in kind.fields():
            found = pointer_in(value[field.name])
            if found is not None:
                return found
    return None


def parts(vector):
    """Address, number of elements, and their type, of a `Vec` or `VecDeque`."""
    kind = vector.type.strip_typedefs().template_argument(0)
    return pointer_in(find(vector, "buf")), int(find(vector, "len")), kind


def elements(vector):
    """The elements of a `Vec`."""
    address, length, kind = parts(vector)
    if length:
        first = gdb.Value(address).cast(kind.pointer())
        for place in range(length):
            yield (first + place).dereference()


def queued(deque):
    """The elements of a `VecDeque`."""
    address, length, kind = parts(deque)
    if length:
        head, room = int(find(deque, "head")), capacity(deque)
        first = gdb.Value(address).cast(kind.pointer())
        for place in range(length):
            yield (first + (head + place) % room).dereference()


def capacity(vector):
    """For how many elements there is room."""
    return int(inside(find(vector, "cap")))


def slab(table):
    """Index, generation and value of what is in use."""
    for index, slot in enumerate(elements(table["slots"])):
        if int(slot["next_free"]) == USED:
            yield index, int(slot["generation"]), slot["value"]


def text(value):
    """A value as gdb writes it, without the paths and parameters of types; ports, sets and spaces
    by their numbers."""
    said = re.sub(r"\b\w+::", "", plain(str(value)))
    number = r"\{index: (\d+), generation: (\d+)\}"
    for kind in ("Port", "Set", "Space"):
        said = re.sub(rf"{kind}Id {number}", rf"{kind.lower()} \1.\2", said)
    said = re.sub(r"\b(?:Port|Set) ?\(((?:port|set) \d+\.\d+)\)", r"\1", said)
    return re.sub(r"Name ?\((\d+)\)", r"name \1", said)


def plain(name):
    """A name without the parameters of types."""
    # What a function gives is no end of them.
    name = name.replace("->", "")
    while True:
        shorter = re.sub(r"(::)?<[^<>]*>", "", name)
        if shorter == name:
            return name
        name = shorter


# --- The node ---------------------------------------------------------------------------------


def scheduler():
    return inside(static("norma_kernel::processor::BOOT_PROCESSOR")["scheduler"])


def ipc():
    place = inside(static("norma_kernel::node::ENGINE")["value"])
    if not bool(place["started"]):
        raise Unknown("the node has not started yet: its ports come with it")
    engine = inside(place["engine"])
    return engine["core"]["ipc"]


def thread_name(number):
    directory = inside(static("norma_kernel::thread::directory::DIRECTORY")["value"])
    for place, entry in enumerate(elements(directory["entries"])):
        if place == number:
            name = string(entry["name"])
            if name:
                return name
    return "main" if number == 0 else "?"


def string(value):
    """A `heapless::String`."""
    length = int(find(value, "len"))
    buffer = find(value, "buffer")
    memory = gdb.selected_inferior().read_memory(int(buffer.address), length)
    return bytes(memory).decode("utf-8", "replace")


def threads():
    """Number and slot of each thread that there is."""
    table = scheduler()
    for number in range(int(table["highest"]) + 1):
        slot = table["slots"][number]
        if STATES.get(int(slot["state"].cast(gdb.lookup_type("u8")))) != "ended":
            yield number, slot


def state(slot):
    return STATES.get(int(slot["state"].cast(gdb.lookup_type("u8"))), "?")


# --- Backtraces -------------------------------------------------------------------------------


def word(address):
    memory = gdb.selected_inferior().read_memory(address, WORD)
    return int.from_bytes(bytes(memory), "little")


def register(name):
    return int(gdb.newest_frame().read_register(name)) & 0xFFFF_FFFF_FFFF_FFFF


def where(number, slot):
    """Instruction and frame pointer of a thread."""
    if number == int(scheduler()["current"]):
        return register("rip"), register("rbp")
    stack = int(slot["stack_pointer"])
    # As `context::switch` leaves it: where to go on, rbx, rbp. One that never ran has what it is
    # to call in the place of the last, which is no frame.
    return word(stack), word(stack + 2 * WORD)


def walk(instruction, frame):
    """The instructions of all frames, from the inmost out."""
    yield instruction
    for _ in range(DEPTH):
        try:
            caller, instruction = word(frame), word(frame + WORD)
        except gdb.MemoryError:
            return
        if gdb.block_for_pc(instruction - 1) is None and not symbol(instruction):
            return
        # The call is just before the address of return.
        yield instruction - 1
        if caller <= frame:
            return
        frame = caller


def symbol(address):
    said = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return None if said.startswith("No symbol") else said.split(" in section")[0].strip()


def names(address):
    """The function at an address, and those into which it was inlined: the inmost first."""
    block = gdb.block_for_pc(address)
    found = []
    while block is not None and not block.is_global:
        if block.function is not None:
            found.append(plain(str(block.function)))
        block = block.superblock
    return found or [plain(symbol(address) or "?")]


def place(address):
    line = gdb.find_pc_line(address)
    return f"{line.symtab.filename}:{line.line}" if line.symtab else "?"


def backtrace(number, slot):
    for depth, address in enumerate(walk(*where(number, slot))):
        inmost, *outer = names(address)
        print(f"    #{depth:<2} {address:#x} {inmost} ({place(address)})")
        for name in outer:
            print(f"        inlined into {name}")


# --- Commands ---------------------------------------------------------------------------------


class Norma(gdb.Command):
    """What a node of norma knows of itself: norma threads, norma ports, norma message."""

    def __init__(self):
        super().__init__("norma", gdb.COMMAND_STATUS, prefix=True)


class Threads(gdb.Command):
    """All threads, what each waits for, and its backtrace; or only those of these numbers."""

    def __init__(self):
        super().__init__("norma threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, _from_terminal):
        wanted = {int(number, 0) for number in argument.split()}
        current = int(scheduler()["current"])
        idle = bool(scheduler()["idle"])
        for number, slot in threads():
            if wanted and number not in wanted:
                continue
            doing = state(slot)
            if number == current:
                doing = f"{doing}, halted in it" if idle else "running"
            priority = int(slot["priority"])
            print(f"* thread {number} {thread_name(number)!r}: {doing}, priority {priority}{waits(number)}")
            backtrace(number, slot)


def waits(number):
    try:
        for place, waiter in enumerate(elements(ipc()["waiters"])):
            if place == number:
                said = text(waiter["state"])
                return "" if said.startswith("Idle") else f", {said}"
    except gdb.error:
        pass
    return ""


class Ports(gdb.Command):
    """All ports: place and generation, queue, rights, and who waits at each."""

    def __init__(self):
        super().__init__("norma ports", gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_terminal):
        for index, generation, port in slab(ipc()["ports"]):
            _, length, _ = parts(port["queue"])
            print(
                f"port {index}.{generation}: {text(port['sink'])}, queue {length} of {int(port['limit'])}, "
                f"{int(port['sends'])} send rights, {int(port['send_onces'])} send-once, "
                f"receive right {text(port['holder'])}"
            )
            first = int(port["receivers"]["first"])
            if first != NOBODY:
                print(f"  thread {first} {thread_name(first)!r} waits for a message")
            first = int(port["senders"]["first"])
            if first != NOBODY:
                print(f"  thread {first} {thread_name(first)!r} waits for room")


class CurrentMessage(gdb.Command):
    """The messages of a thread: what it has been handed, or waits to send, and what lies in its
    hands, as far as its stack and its registers tell. The current thread, unless a number is
    given."""

    def __init__(self):
        super().__init__("norma message", gdb.COMMAND_STATUS)

    def invoke(self, argument, _from_terminal):
        number = int(argument, 0) if argument.strip() else int(scheduler()["current"])
        slots = dict(threads())
        if number not in slots:
            raise Unknown(f"there is no thread {number}; `norma threads` lists them")
        print(f"thread {number} {thread_name(number)!r}{waits(number)}")
        found = False
        for address in held(number, slots[number]):
            found = True
            for line in describe(address):
                print(f"  {line}")
        if not found:
            print("  no message")


def held(number, slot):
    """Where the messages of a thread may lie: each word on its stack, and in the registers if it
    is the current one, that leads to what can only be a message. It may be one that the thread
    has just given away."""
    seen = set()
    if number == int(scheduler()["current"]):
        names = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9")
        names += ("r10", "r11", "r12", "r13", "r14", "r15")
        words = [register(name) for name in names]
        stack = register("rsp")
    else:
        words, stack = [], int(slot["stack_pointer"])
    for address in words + list(stacked(stack)) + list(waiting(number)):
        if address not in seen and is_message(address):
            seen.add(address)
            yield address


def waiting(number):
    """The words of what the core keeps for a thread."""
    for place, waiter in enumerate(elements(ipc()["waiters"])):
        if place == number:
            size = waiter["state"].type.sizeof
            memory = gdb.selected_inferior().read_memory(int(waiter["state"].address), size)
            yield from words_of(bytes(memory))


def stacked(address):
    """All words of a stack from an address up to the page that is never mapped above it."""
    for _ in range(STACK_PAGES):
        end = (address // PAGE + 1) * PAGE
        try:
            memory = gdb.selected_inferior().read_memory(address, end - address)
        except gdb.MemoryError:
            return
        yield from words_of(bytes(memory))
        address = end


def words_of(memory):
    for at in range(0, len(memory) - WORD + 1, WORD):
        yield int.from_bytes(memory[at : at + WORD], "little")


def body(address):
    """The body of a message."""
    frame = "norma_kernel::memory::frame::Frame"
    kind = gdb.lookup_type(f"norma_ipc::message::Body<{frame}>")
    return gdb.Value(address).cast(kind.pointer()).dereference()


def is_message(address):
    """Whether the body of a message lies there: lists that can be, and bits that are meant."""
    if address % WORD or not DIRECT_MAP <= address < DIRECT_MAP_END:
        return False
    try:
        message = body(address)
        for name, most in (("data", MOST_DATA), ("rights", MOST_RIGHTS)):
            start, length, _ = parts(message[name])
            room = capacity(message[name])
            if length > room or room > most or room and not DIRECT_MAP <= start < DIRECT_MAP_END:
                return False
        # Each has room for data from the first, so that zeros are none.
        return capacity(message["data"]) > 0 and int(inside(message["expects"])) in (0, 4, 0x40)
    except gdb.MemoryError:
        return False


def describe(address):
    """The lines about a message."""
    message = body(address)
    data, length, _ = parts(message["data"])
    _, rights, _ = parts(message["rights"])
    yield f"message {address:#x}: id {int(message['id'])}, {length} bytes, {rights} rights"
    if length:
        start = bytes(gdb.selected_inferior().read_memory(data, min(length, 32)))
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in start)
        yield f"  data {start.hex()} {shown}"
    yield f"  reply {text(message['reply'])}"
    for right in elements(message["rights"]):
        yield f"  right {text(right)}"


def warm_up():
    """Has gdb read what it needs of the debug information: this script is loaded before the node
    is stopped, and its peers wait no longer than they must."""
    for name in ("processor::BOOT_PROCESSOR", "node::ENGINE", "thread::directory::DIRECTORY"):
        static(f"norma_kernel::{name}")
    gdb.lookup_type("norma_ipc::message::Body<norma_kernel::memory::frame::Frame>")
    gdb.decode_line("norma_main")


warm_up()
Norma()
Threads()
Ports()
CurrentMessage()
