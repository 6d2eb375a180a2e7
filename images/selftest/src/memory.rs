//! Frames and heap: nothing is lost, and running out hurts only who asks.

use crate::{Failure, check};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use norma_boot::println;
use norma_ipc::Page;
use norma_kernel::memory::{DmaRegion, Frame, free_frames, inject};
use norma_kernel::{counters, thread};

/// Sharing, counting, sizes.
pub fn all() -> Result<(), Failure> {
    frames_are_shared_and_come_back()?;
    heap_blocks_of_all_sizes()?;
    a_steady_state_allocates_no_frames()?;
    large_blocks_give_all_back()?;
    rows_for_devices()
}

fn frames_are_shared_and_come_back() -> Result<(), Failure> {
    let before = free_frames();
    let mut one = Frame::allocate_zeroed().ok_or(Failure("there is a frame"))?;
    one.bytes_mut().ok_or(Failure("one holder may write"))?[17] = 4;
    let two = one.share();
    check(one.bytes_mut().is_none(), "of two holders none may write")?;
    check(two.bytes()[17] == 4, "both see the same")?;
    drop(two);
    check(one.bytes_mut().is_some(), "the last one may write again")?;
    check(free_frames() == before - 1, "one frame is in use")?;
    drop(one);
    check(free_frames() == before, "and comes back")
}

fn heap_blocks_of_all_sizes() -> Result<(), Failure> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for size in (0..200_000)
        .step_by(997)
        .chain(0..100)
        .chain([4095, 4096, 4097])
    {
        let mut block = Vec::new();
        block
            .try_reserve_exact(size)
            .map_err(|_| Failure("there is memory"))?;
        block.resize(size, size as u8);
        blocks.push(block);
    }
    let whole = blocks
        .iter()
        .all(|block| block.iter().all(|&byte| byte == block.len() as u8));
    check(whole, "no block lies in another")?;
    for align in [1, 16, 64, 4096, 16384] {
        let layout = Layout::from_size_align(24, align).map_err(|_| Failure("a layout"))?;
        // SAFETY: the size is not zero, and the block is given back with the same layout.
        let aligned = unsafe {
            let block = alloc::alloc::alloc(layout);
            let aligned = !block.is_null() && block.addr().is_multiple_of(align);
            alloc::alloc::dealloc(block, layout);
            aligned
        };
        check(aligned, "blocks are aligned")?;
    }
    Ok(())
}

fn a_steady_state_allocates_no_frames() -> Result<(), Failure> {
    let round = || {
        let boxes: [Box<[u8; 300]>; 20] = core::array::from_fn(|_| Box::new([7; 300]));
        drop(core::hint::black_box(boxes));
    };
    round();
    let before = counters::snapshot();
    for _ in 0..100 {
        round();
    }
    let passed = counters::snapshot().since(&before);
    check(passed.frames_allocated == 0, "freed blocks serve again")?;
    check(passed.heap_allocations == 2000, "every block is counted")?;
    check(passed.heap_frees == 2000, "and every return")
}

fn large_blocks_give_all_back() -> Result<(), Failure> {
    // In one row of frames, in no row that is looked for, and aligned as no row is.
    let sizes = [(5000, 16), (100_000, 16), (2_000_000, 16), (100_000, 65536)];
    for (size, align) in sizes {
        let layout = Layout::from_size_align(size, align).map_err(|_| Failure("a layout"))?;
        let round = || {
            // SAFETY: the size is not zero, the block is written within its bounds, and given
            // back with the same layout.
            unsafe {
                let block = alloc::alloc::alloc(layout);
                if block.is_null() || !block.addr().is_multiple_of(align) {
                    return false;
                }
                block.write_bytes(0x5a, size);
                alloc::alloc::dealloc(block, layout);
            }
            true
        };
        // What the heap has made room for, it keeps.
        check(round(), "there is a large block")?;
        let (before, free) = (counters::snapshot(), free_frames());
        check((0..10).all(|_| round()), "there is one again")?;
        let passed = counters::snapshot().since(&before);
        check(free_frames() == free, "its frames are free again")?;
        check(
            passed.heap_allocations == 10,
            "every large block is counted",
        )?;
        check(passed.heap_frees == 10, "and every return")?;
    }
    Ok(())
}

fn rows_for_devices() -> Result<(), Failure> {
    let before = free_frames();
    let region = DmaRegion::allocate(60_000).map_err(|_| Failure("there is a row"))?;
    check(region.length() >= 60_000, "it is long enough")?;
    check(
        region.physical_address().is_multiple_of(65536),
        "it is aligned",
    )?;
    drop(region);
    check(free_frames() == before, "it comes back")
}

/// All memory is used up, twice.
pub fn exhaustion() -> Result<(), Failure> {
    let before = free_frames();
    for _ in 0..2 {
        let mut frames: Vec<Frame> = Vec::new();
        frames
            .try_reserve_exact(before)
            .map_err(|_| Failure("room for a list"))?;
        while let Some(frame) = Frame::allocate() {
            frames.push(frame);
        }
        println!("{} frames taken of {before}", frames.len());
        check(free_frames() == 0, "all are taken")?;
        let refused = Vec::<u8>::new().try_reserve_exact(1 << 20).is_err();
        check(refused, "the heap refuses a large block")?;
        check(
            thread::spawn("late", 0, || {}).is_err(),
            "no thread without a stack",
        )?;
        check(DmaRegion::allocate(1).is_err(), "no row")?;
        drop(frames);
    }
    let block = Vec::<u8>::new().try_reserve_exact(1 << 20);
    check(block.is_ok(), "afterwards there is memory again")?;
    let huge = Vec::<u8>::new().try_reserve_exact(1 << 40);
    check(huge.is_err(), "what no machine has is refused")?;
    thread::spawn("late", 0, || {})
        .map_err(|_| Failure("and there are threads"))?
        .join();
    Ok(())
}

/// Each allocation of an operation fails in turn.
pub fn injection() -> Result<(), Failure> {
    for n in 1..1000 {
        inject::fail_after(n);
        let outcome = operation();
        inject::fail_after(0);
        if outcome.is_ok() {
            println!("{} allocations failed in turn", n - 1);
            return check(n > 5, "the operation allocates");
        }
    }
    Err(Failure("the operation succeeds once nothing fails"))
}

fn operation() -> Result<(), ()> {
    let mut list = Vec::<u64>::new();
    list.try_reserve_exact(700).map_err(|_| ())?;
    let mut large = Vec::<u8>::new();
    large.try_reserve_exact(100_000).map_err(|_| ())?;
    let frame = Frame::allocate().ok_or(())?;
    let region = DmaRegion::allocate(8192).map_err(|_| ())?;
    thread::spawn("fragile", 1, || {}).map_err(|_| ())?.join();
    drop((list, large, frame, region));
    Ok(())
}
