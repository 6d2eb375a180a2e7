//! A program that means harm: every system call with random arguments, wild pointers, names that
//! were never given, threads that change each other's messages while the kernel reads them, and
//! one that answers calls, at a port which any of the others may destroy.
//! Its arguments are how many calls to make, and a seed.
//!
//! It ends with 0 when it has made them: whether the kernel still works is for others to say.
//! Calls that would end it or its threads, or wait for longer than a moment, are left out or
//! given a short time; and of its own memory it passes only what it can do without, for the
//! kernel writes where it is told, if a program may.
#![no_std]
#![no_main]

extern crate alloc;

mod random;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use norma_abi::call::{self, COUNT};
use norma_abi::{Entry, HIGHEST, Header, LOWEST};
use norma_user::{Failure, Memory, ReceiveRight, Task, println, spawn, system};
use random::Random;

norma_user::program!(main);

/// Threads that make calls.
const CALLERS: u64 = 4;

/// What all threads read, write, and pass to the kernel: the first 1,024 words. Behind them is
/// what the kernel may write from there on, at most a list of 4,096 names.
static SCRATCH: [AtomicU64; 8192] = [const { AtomicU64::new(0) }; 8192];

/// Bytes of memory that is there to be given up, sent and mapped again.
const PREY: u64 = 64 * 4096;

/// Where it is.
static PREY_AT: AtomicU64 = AtomicU64::new(0);

/// A bit for each call that did what it was asked at least once.
static DONE_ONCE: AtomicU64 = AtomicU64::new(0);

/// A name in the cluster.
const NAME: &str = "prize";

/// This node: where its name is, how long that is, and its address.
static HERE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Names that the kernel gave.
static GIVEN: [AtomicU32; 32] = [const { AtomicU32::new(0) }; 32];

/// The port where somebody answers.
static ANSWERS: AtomicU32 = AtomicU32::new(0);

/// Memory that the kernel gave.
static MAPPED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// Threads that still make calls.
static RUNNING: AtomicU64 = AtomicU64::new(0);

static LEFT: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

fn main(task: Task) -> Result<(), Failure> {
    let mut words = task.arguments().split(' ');
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let (calls, seed): (u64, u64) = (number(), number());
    LEFT.store(calls, Ordering::Relaxed);
    let here = task.port().make_send()?.location()?;
    let name: &str = alloc::boxed::Box::leak(here.node.as_str().into());
    for (place, value) in HERE
        .iter()
        .zip([name.as_ptr() as u64, name.len() as u64, here.address])
    {
        place.store(value, Ordering::Relaxed);
    }
    let prey = Memory::zeroed(PREY as usize)?;
    PREY_AT.store(prey.address(), Ordering::Relaxed);
    core::mem::forget(prey);
    // Not waited for by their ports, which are as much at the mercy of all this as any other.
    RUNNING.store(CALLERS, Ordering::Relaxed);
    for index in 0..CALLERS {
        spawn(0, move || {
            make_calls(seed * 31 + index);
            RUNNING.fetch_sub(1, Ordering::Relaxed);
        })?;
    }
    spawn(0, move || race(seed))?;
    spawn(0, answer)?;
    while RUNNING.load(Ordering::Relaxed) > 0 {
        norma_user::yield_now();
    }
    DONE.store(true, Ordering::Relaxed);
    let done = DONE_ONCE.load(Ordering::Relaxed);
    println!(
        "made {calls} calls, {} of {COUNT} with success",
        done.count_ones()
    );
    println!("without: {:?}", Undone(done));
    // What never gets as far as the other side tries little of the kernel.
    let sides = [call::CALL, call::REPLY_AND_RECEIVE];
    match sides.iter().all(|number| done >> number & 1 == 1) {
        true => Ok(()),
        false => Err(Failure::Unanswered),
    }
}

/// The numbers of calls that never did what they were asked.
struct Undone(u64);

impl core::fmt::Debug for Undone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list()
            .entries((0..COUNT).filter(|number| self.0 >> number & 1 == 0))
            .finish()
    }
}

/// Overwrites what others pass to the kernel.
fn race(seed: u64) {
    let mut random = Random::new(seed ^ 0xface);
    while !DONE.load(Ordering::Relaxed) {
        for _ in 0..50 {
            let value = any_number(&mut random);
            SCRATCH[random.below(1024) as usize].store(value, Ordering::Relaxed);
        }
        norma_user::yield_now();
    }
}

/// Answers whoever calls. The others give this thread's rights up under it: then it begins anew.
fn answer() {
    while !DONE.load(Ordering::Relaxed) {
        if let Ok(port) = ReceiveRight::new() {
            serve(&port);
        }
        norma_user::yield_now();
    }
}

fn serve(port: &ReceiveRight) {
    let Ok(right) = port.make_send() else { return };
    ANSWERS.store(right.name().raw(), Ordering::Relaxed);
    let mut received = port.receive_timeout(Duration::from_millis(20));
    while let Ok(request) = received {
        let answered = request.expects_reply();
        received = port.reply_and_receive(request);
        if answered && received.is_ok() {
            DONE_ONCE.fetch_or(1 << call::REPLY_AND_RECEIVE, Ordering::Relaxed);
        }
    }
}

fn make_calls(seed: u64) {
    let mut random = Random::new(seed);
    while LEFT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok()
    {
        one_call(&mut random);
    }
}

fn one_call(random: &mut Random) {
    let number = match random.below(20) {
        0 => random.next(),
        1 => COUNT + random.below(10),
        _ => random.below(COUNT),
    };
    let mut arguments = core::array::from_fn(|_| any_number(random));
    if random.below(4) > 0 {
        // What many calls take: a name, and a small number or another name.
        arguments[0] = u64::from(any_name(random));
        arguments[1] = match random.below(3) {
            0 => u64::from(any_name(random)),
            _ => random.below(8),
        };
    }
    match number {
        // They would end it too soon.
        call::EXIT | call::THREAD_EXIT => return,
        // New threads begin in the middle of something: at a place that only gives way.
        call::SPAWN => arguments[0] = wander as *const () as u64,
        call::REQUEST | call::WITHDRAW => {
            arguments[0] = random.below(5);
            arguments[1] = u64::from(any_name(random));
            arguments[2] = u64::from(any_name(random));
            arguments[3] = random.below(3);
        }
        call::SLEEP => arguments[0] = random.below(100_000),
        call::SEND | call::RECEIVE | call::CALL | call::EXCHANGE => {
            arguments[2] = random.below(50_000);
            arguments[1] = header(random);
            arguments[3] = u64::from(any_name(random));
            if number != call::RECEIVE && random.below(2) == 0 {
                arguments[0] = u64::from(ANSWERS.load(Ordering::Relaxed));
            }
        }
        // It waits for ever if nothing comes.
        call::REPLY_AND_RECEIVE => {
            arguments[0] = random.next();
            arguments[1] = header(random);
        }
        call::SEND_CONFIRMED | call::RECEIVE_WITHIN => {
            arguments[1] = header(random);
            arguments[2] = random.below(50_000);
            if number == call::SEND_CONFIRMED && random.below(2) == 0 {
                arguments[0] = u64::from(ANSWERS.load(Ordering::Relaxed));
            }
        }
        call::REPLY | call::FETCH => arguments[0] = header(random),
        call::CHECK_IN | call::CHECK_OUT | call::LOOK_UP | call::CLAIM | call::LOOK_UP_SPECIAL => {
            // They may wait for a second.
            let waits = matches!(number, call::CLAIM | call::LOOK_UP_SPECIAL);
            if waits && random.below(16) > 0 {
                return;
            }
            if random.below(2) == 0 {
                (arguments[0], arguments[1]) = (NAME.as_ptr() as u64, NAME.len() as u64);
                if number == call::LOOK_UP_SPECIAL {
                    (arguments[0], arguments[1]) = (
                        HERE[0].load(Ordering::Relaxed),
                        HERE[1].load(Ordering::Relaxed),
                    );
                }
            }
            // Else most checks in would be refused for want of a right to tell by.
            arguments[3] *= random.below(4) / 3;
            arguments[2] = match number {
                call::LOOK_UP => 1 + random.below(1000),
                call::LOOK_UP_SPECIAL => random.below(40),
                _ => u64::from(any_name(random)),
            };
        }
        call::STATUS | call::LOCATE => arguments[1] = scratch(random.below(1000)),
        call::NODE_NAME if random.below(2) == 0 => {
            (arguments[0], arguments[1]) =
                (HERE[2].load(Ordering::Relaxed), scratch(random.below(1000)));
        }
        call::MAP if random.below(16) > 0 => arguments[0] = random.below(20_000),
        // What the program runs on stays.
        call::UNMAP => {
            arguments[0] = prey(random);
            arguments[1] = random.below(20_000);
        }
        call::PRINT => arguments[1] = random.below(100) / 99,
        call::DESTROY if random.below(4) > 0 => return,
        call::SET_EXCEPTION_PORT => arguments[0] = 0,
        _ => {}
    }
    // SAFETY: it is not sound at all. What a call can break is this program's own.
    if let Ok(value) = unsafe { system::call(number, arguments) } {
        DONE_ONCE.fetch_or(1 << number, Ordering::Relaxed);
        if matches!(
            number,
            call::ALLOCATE_PORT..=call::ALLOCATE_DEAD_NAME | call::MAKE
        ) {
            let place = &GIVEN[random.below(32) as usize];
            let before = place.swap(value as u32, Ordering::Relaxed);
            // Else the space would soon be full, and there would be nothing to break.
            let _ = system::plain(call::DESTROY, [before.into(), 0, 0, 0]);
        }
        if number == call::MAP {
            // The same with memory: an address, and in its lower bits how many pages there are.
            let pages = arguments[0].div_ceil(4096).min(4095);
            let place = &MAPPED[random.below(8) as usize];
            let before = place.swap(value | pages, Ordering::Relaxed);
            let _ = system::plain(call::UNMAP, [before & !4095, (before & 4095) * 4096, 0, 0]);
        }
    }
}

/// Where a thread with a stack anywhere can do no harm.
#[unsafe(naked)]
extern "C" fn wander() -> ! {
    core::arch::naked_asm!(
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const call::THREAD_EXIT,
    )
}

/// A header in the scratch memory, mostly of the right shape.
fn header(random: &mut Random) -> u64 {
    let at = random.below(900) & !7;
    let header = Header {
        id: random.next() as u32,
        format: random.below(4) as u32,
        data: match random.below(4) {
            0 => any_number(random),
            _ => scratch(random.below(1000)),
        },
        data_length: random.below(10_000) as u32,
        data_capacity: random.below(10_000) as u32,
        rights: scratch(random.below(1000)),
        rights_length: (random.below(4) * random.below(2)) as u32,
        rights_capacity: random.below(8) as u32,
        memory: prey(random) & !0xfff,
        memory_length: random.below(20_000) * (random.below(4) / 3),
        memory_kept: random.below(2) as u32,
        reply: any_name(random) * (random.below(4) as u32 / 3),
        context: scratch(random.below(1000)) * (random.below(4) / 3),
        ..Header::default()
    };
    let entry = Entry {
        name: any_name(random),
        what: random.below(7) as u32,
    };
    let words = words_of(&header);
    for (word, place) in words.into_iter().zip(&SCRATCH[at as usize..]) {
        place.store(word, Ordering::Relaxed);
    }
    let packed = u64::from(entry.what) << 32 | u64::from(entry.name);
    SCRATCH[random.below(1024) as usize].store(packed, Ordering::Relaxed);
    match random.below(8) {
        0 => any_number(random),
        _ => scratch(at),
    }
}

fn words_of(header: &Header) -> [u64; 12] {
    // SAFETY: a header is twelve words without gaps.
    unsafe { core::mem::transmute_copy(header) }
}

fn prey(random: &mut Random) -> u64 {
    let mask = if random.below(2) == 0 { !0 } else { !0xfff };
    (PREY_AT.load(Ordering::Relaxed) + random.below(PREY + 8192)) & mask
}

fn scratch(index: u64) -> u64 {
    SCRATCH[index as usize % 1024].as_ptr() as u64
}

/// A name: mostly one that the kernel gave, which may denote something still.
fn any_name(random: &mut Random) -> u32 {
    match random.below(6) {
        0 => random.next() as u32,
        1 => (1 + random.below(3) as u32) << 20 | random.below(40) as u32,
        2 if random.below(8) == 0 => ANSWERS.load(Ordering::Relaxed),
        _ => GIVEN[random.below(32) as usize].load(Ordering::Relaxed),
    }
}

/// A number that is something: an address, good or bad, a name, a length.
fn any_number(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => random.next(),
        1 => u64::from(any_name(random)),
        2 => random.below(64),
        3 => scratch(random.below(1024)),
        4 => (one_call as *const () as u64).wrapping_add(random.below(0x1000)),
        5 => prey(random),
        6 => HIGHEST - random.below(5000),
        7 => LOWEST.wrapping_sub(random.below(100)),
        8 => 0xffff_8000_0000_0000 + random.below(1 << 26),
        9 => 0xffff_ffff_8020_0000 + random.below(1 << 20),
        10 => u64::MAX - random.below(100),
        _ => 1 << random.below(64),
    }
}
