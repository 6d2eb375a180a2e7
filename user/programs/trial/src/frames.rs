//! Bare frames by a card that the program drives itself.

use crate::ports::check;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use norma_abi::card::{Count, Info, Ring};
use norma_abi::{Code, call};
use norma_user::{Card, Failure, ReceiveRight, SendRight, Task, println, system, yield_now};

/// The type of frames for experiments (IEEE 802).
const TYPE: [u8; 2] = [0x88, 0xb5];
const BROADCAST: [u8; 6] = [0xff; 6];
/// What is in a frame behind the Ethernet header: a number; the last one ends the echo.
const END: u32 = u32::MAX;

/// The right to the card, which whoever started the task sends.
fn driver(task: &Task) -> Result<SendRight, Failure> {
    let mut message = task.port().receive()?;
    message.take_right()?.ok_or(Failure::InvalidRight)
}

fn open(task: &Task) -> Result<(Card, ReceiveRight), Failure> {
    let bell = ReceiveRight::new()?;
    let card = Card::open(&driver(task)?, &bell.make_send()?)?;
    Ok((card, bell))
}

/// Waits until a frame has come; whether one came in time.
fn wait(card: &mut Card, bell: &ReceiveRight, patience: Duration) -> Result<bool, Failure> {
    card.want(true);
    if card.needs_exchange() {
        card.exchange()?;
    }
    while !card.has_come() {
        match bell.receive_any_timeout(patience) {
            Ok(_) => card.want(true),
            Err(Failure::TimedOut) => return Ok(false),
            Err(failure) => return Err(failure),
        }
    }
    Ok(true)
}

fn byte(number: u32, at: usize) -> u8 {
    (number as usize * 31 + at) as u8
}

/// Copies the frame that has come into a slot, back to whoever sent it; its number, and its
/// length.
fn turn_round(card: &mut Card) -> Option<(u32, usize)> {
    let own = card.mac();
    // A frame at a time: what is read is copied out before the slot is asked for.
    let mut copy = [0; 10_000];
    let length = {
        let frame = card.next_frame()?;
        let (length, head) = (frame.length(), frame.head());
        if length > copy.len() || head.get(12..14) != Some(&TYPE[..]) {
            return Some((0, 0));
        }
        copy[..head.len()].copy_from_slice(head);
        let mut at = head.len();
        for page in 0..frame.pages() {
            let count = (length - at).min(4096);
            copy[at..at + count].copy_from_slice(&frame.page(page)[..count]);
            at += count;
        }
        length
    };
    let (to, number) = (
        copy[6..12].try_into().ok()?,
        u32::from_le_bytes(copy[14..18].try_into().ok()?),
    );
    write(card, to, own, &copy[14..length]);
    Some((number, length))
}

/// Writes a frame, if there is a slot.
fn write(card: &mut Card, to: [u8; 6], own: [u8; 6], contents: &[u8]) {
    let Some(mut slot) = card.slot() else {
        return;
    };
    let head = slot.head();
    head[..6].copy_from_slice(&to);
    head[6..12].copy_from_slice(&own);
    head[12..14].copy_from_slice(&TYPE);
    let first = contents.len().min(head.len() - 14);
    head[14..14 + first].copy_from_slice(&contents[..first]);
    for (page, chunk) in contents[first..].chunks(4096).enumerate() {
        slot.page(page)[..chunk.len()].copy_from_slice(chunk);
    }
    slot.commit(14 + contents.len());
}

/// Sends every frame back, until the last.
pub fn echo(task: &Task) -> Result<(), Failure> {
    let (mut card, bell) = open(task)?;
    println!("answers frames of up to {} bytes", card.mtu());
    let mut count = 0;
    while wait(&mut card, &bell, Duration::from_secs(30))? {
        while let Some((number, length)) = turn_round(&mut card) {
            count += u32::from(length > 0);
            if number == END {
                card.exchange()?;
                println!("answered {count} frames");
                return Ok(());
            }
        }
    }
    Err(Failure::TimedOut)
}

/// Has frames of all sizes sent back, one after the other and many at once.
pub fn call_frames(task: &Task) -> Result<(), Failure> {
    let (mut card, bell) = open(task)?;
    let longest = usize::from(card.mtu()).min(9_000);
    let mut number = 1;
    for size in [46, 166, 167, 4_262, 4_263, 8_358, longest] {
        if size > longest {
            continue;
        }
        // The other machine may not be there yet.
        while !one(&mut card, &bell, number, size)? {}
        number += 1;
    }
    // More than the slots hold: they come round.
    for _ in 0..50 {
        for _ in 0..20 {
            number += 1;
            request(&mut card, number, 64);
        }
        let mut left = 20;
        while left > 0 && wait(&mut card, &bell, Duration::from_secs(5))? {
            while let Some(frame) = card.next_frame() {
                left -= u32::from(frame.head().get(12..14) == Some(&TYPE[..]));
            }
        }
        check(left == 0, "all that were sent at once came back")?;
    }
    check(
        one(&mut card, &bell, END, 46)?,
        "the last frame comes back too",
    )?;
    println!("all frames came back");
    Ok(())
}

fn request(card: &mut Card, number: u32, size: usize) {
    let mut contents = [0; 9_000];
    for (at, place) in contents[..size].iter_mut().enumerate() {
        *place = byte(number, at);
    }
    contents[..4].copy_from_slice(&number.to_le_bytes());
    let own = card.mac();
    write(card, BROADCAST, own, &contents[..size]);
}

/// Sends a frame and waits for it; whether it came.
fn one(card: &mut Card, bell: &ReceiveRight, number: u32, size: usize) -> Result<bool, Failure> {
    request(card, number, size);
    while wait(card, bell, Duration::from_millis(100))? {
        let Some(frame) = card.next_frame() else {
            continue;
        };
        let head = frame.head();
        if head.get(12..18) != Some(&[&TYPE[..], &number.to_le_bytes()].concat()[..]) {
            continue;
        }
        check(frame.length() == 14 + size, "with its length")?;
        let good = |at: usize, found: u8| found == byte(number, at);
        let mut sound = (4..head.len() - 14).all(|at| good(at, head[14 + at]));
        for at in head.len() - 14..size {
            let behind = at + 14 - head.len();
            sound &= good(at, frame.page(behind / 4096)[behind % 4096]);
        }
        check(sound, "with its contents")?;
        return Ok(true);
    }
    Ok(false)
}

fn open_bare(driver: u32, bell: u32, info: &mut Info) -> Result<u64, system::Refused> {
    let at = core::ptr::from_mut(info) as u64;
    // SAFETY: the kernel writes what there is to know, and no more.
    unsafe { system::call(call::OPEN_CARD, [driver.into(), bell.into(), at, 0]) }
}

/// Who has not the right does nothing with the card.
pub fn unentitled() -> Result<(), Failure> {
    let bell = ReceiveRight::new()?;
    let right = bell.make_send()?;
    let opened = open_bare(right.name().raw(), right.name().raw(), &mut Info::default());
    let refused = |result: Result<u64, system::Refused>| {
        result.is_err_and(|refused| refused.code == Some(Code::InvalidRight))
    };
    check(refused(opened), "another right is none to the card")?;
    let exchanged = system::plain(call::EXCHANGE_FRAMES, [0; 4]);
    check(refused(exchanged), "who has not opened it has no frames")
}

/// Writes numbers that cannot be, again and again, to all that the kernel reads.
pub fn hostile(task: &Task) -> Result<(), Failure> {
    let bell = ReceiveRight::new()?;
    let (driver, right) = (driver(task)?, bell.make_send()?);
    let (names, mut info) = ([driver.name().raw(), right.name().raw()], Info::default());
    let base = open_bare(names[0], names[1], &mut info)?;
    let number = |at: usize| {
        let place = (base as usize + at) as *mut u32;
        // SAFETY: within the memory, at an address that is divisible by 4.
        unsafe { AtomicU32::from_ptr(place) }
    };
    let mut state = 7_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32
    };
    for _ in 0..3_000 {
        for count in [Count::Sent, Count::Taken, Count::Come, Count::Read] {
            let value = match random() % 3 {
                0 => random(),
                1 => random() % 40,
                _ => number(Count::Taken.at()).load(Ordering::Relaxed) + random() % 3,
            };
            number(count.at()).store(value, Ordering::Relaxed);
        }
        number(Count::Wanted.at()).store(random() % 2, Ordering::Relaxed);
        for slot in 0..Ring::Send.slots() {
            let length = match random() % 3 {
                0 => random(),
                _ => random() % 70_000,
            };
            number(Ring::Send.length_at(slot)).store(length, Ordering::Relaxed);
            let address = match random() % 4 {
                0 => 0,
                1 => base + u64::from(random() % 32) * 4096,
                2 => u64::MAX << (random() % 64),
                _ => u64::from(random()) << (random() % 48) & !0xfff,
            };
            for (half, at) in [(address as u32, 0), ((address >> 32) as u32, 4)] {
                let place = Ring::Send.page_at(slot, random() as usize % 2) + at;
                number(place).store(half, Ordering::Relaxed);
            }
        }
        let _ = system::plain(call::EXCHANGE_FRAMES, [0; 4]);
        yield_now();
    }
    // The memory is not the program's to give away or to share.
    for call in [call::SEND, call::CALL] {
        let header = norma_abi::Header {
            memory: base,
            memory_length: 4096,
            ..norma_abi::Header::default()
        };
        let at = core::ptr::from_ref(&header) as u64;
        // SAFETY: it is to be refused.
        let sent = unsafe { system::call(call, [names[1].into(), at, 0, 0]) };
        let refused = sent.is_err_and(|refused| refused.code == Some(Code::BadAddress));
        check(refused, "shared memory does not move")?;
    }
    println!("the kernel has seen worse");
    Ok(())
}
