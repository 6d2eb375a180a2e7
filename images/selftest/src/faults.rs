//! What must end in a report: each of these breaks the machine in its own way.

use crate::Failure;
use core::arch::asm;
use core::hint::black_box;
use norma_boot::{ReceiveRight, println};
use norma_kernel::face::Node;
use norma_kernel::thread;

/// A Rust panic, some calls deep.
pub fn panic() -> Result<(), Failure> {
    #[inline(never)]
    fn deeper(n: u32) -> u32 {
        if n == 0 {
            panic!("asked to panic");
        }
        black_box(deeper(black_box(n - 1)) + 1)
    }
    deeper(3);
    Ok(())
}

/// The first thread's stack runs over.
pub fn overflow() -> Result<(), Failure> {
    black_box(recurse(black_box(1)));
    Ok(())
}

/// Another thread's stack runs over.
pub fn overflow_in_thread() -> Result<(), Failure> {
    let thread = thread::spawn("deep", 1, || {
        black_box(recurse(black_box(1)));
    });
    thread
        .map_err(|_| Failure("a thread can be created"))?
        .join();
    Ok(())
}

#[allow(unconditional_recursion)]
#[inline(never)]
fn recurse(n: u64) -> u64 {
    let room = black_box([n; 32]);
    recurse(room[7] + 1) + room[9]
}

/// A division that the compiler cannot check.
pub fn divide() -> Result<(), Failure> {
    // SAFETY: it is not: the exception that follows is the test.
    unsafe { asm!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
    Ok(())
}

/// A write through a null pointer.
pub fn null() -> Result<(), Failure> {
    // SAFETY: it is not: the exception that follows is the test.
    unsafe { asm!("mov qword ptr [{}], 1", in(reg) 8u64) };
    Ok(())
}

/// A call into data: no page is both writable and executable.
pub fn execute_data() -> Result<(), Failure> {
    static CODE: [u8; 1] = [0xc3];
    let mut code = CODE;
    let pointer = black_box(code.as_mut_ptr());
    // SAFETY: it is not: the exception that follows is the test.
    unsafe { asm!("call {}", in(reg) pointer, clobber_abi("C")) };
    Ok(())
}

/// A write to the image's code through the direct map of RAM.
pub fn write_code() -> Result<(), Failure> {
    use norma_kernel::arch::layout::{IMAGE, direct};
    let code = write_code as *const () as u64 - IMAGE;
    // SAFETY: it is not: the exception that follows is the test.
    unsafe { direct(code).write_volatile(0xcc) };
    Ok(())
}

/// An instruction that does not exist.
pub fn invalid_instruction() -> Result<(), Failure> {
    // SAFETY: it is not: the exception that follows is the test.
    unsafe { asm!("ud2") };
    Ok(())
}

/// An exception that the processor cannot deliver, twice: a triple fault.
pub fn triple() -> Result<(), Failure> {
    let none = [0u8; 10];
    // SAFETY: it is not: what follows is the test.
    unsafe { asm!("cli", "lidt [{}]", "ud2", in(reg) &raw const none) };
    Ok(())
}

/// A thread waits at a port for ever, and the first one takes the processor and never gives it up.
pub fn hang() -> Result<(), Failure> {
    let failed = |_| Failure("a port can be made");
    let port = ReceiveRight::new().map_err(failed)?;
    let waiting = Node::started().spawn("patient", 4, move || drop(port.receive()));
    waiting.map_err(|_| Failure("a thread can be created"))?;
    println!("hanging");
    // SAFETY: nothing but that no interrupt comes any more, which is the test.
    unsafe { asm!("cli") };
    forever()
}

#[inline(never)]
fn forever() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Takes memory as most programs do, without asking whether there is any.
pub fn exhaust() -> Result<(), Failure> {
    let mut all = alloc::vec::Vec::new();
    loop {
        all.push(black_box(alloc::vec![1u8; 1 << 20]));
    }
}
