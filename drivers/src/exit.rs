//! Leaving the virtual machine with a code that the host can read.
//!
//! Owns: the exit device of QEMU and what to do where it is missing. Leaves to others: when to
//! leave. QEMU ends with status `2 * code + 1`, so a code of 0 is never used: its status, 1,
//! is also QEMU's own for a wrong command line.
//! Source: QEMU `hw/misc/debugexit.c`.

use x86_64::instructions::{hlt, interrupts, port::Port};

/// Where `-device isa-debug-exit,iobase=0xf4,iosize=0x4` listens.
const EXIT_PORT: u16 = 0xf4;

/// Why the image ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitCode {
    /// All went well (QEMU's status 33).
    Pass = 16,
    /// `main` returned an error (status 35).
    Fail = 17,
    /// A panic or a processor exception (status 37).
    Panic = 18,
    /// The machine lacks something that the image needs; said on the console (status 39).
    Refused = 19,
}

/// Ends the virtual machine with `code`.
///
/// Without the exit device the machine is reset, which ends QEMU too under `-no-reboot`; what
/// survives even that halts for ever.
pub fn exit(code: ExitCode) -> ! {
    interrupts::disable();
    // SAFETY: the port belongs to the exit device or to nobody.
    unsafe { Port::new(EXIT_PORT).write(code as u32) };
    reset();
    loop {
        hlt();
    }
}

fn reset() {
    // SAFETY: pulsing the reset line by the keyboard controller is the end of everything, which
    // is what the caller wants; where there is no such controller nothing happens.
    unsafe { Port::<u8>::new(0x64).write(0xfe) };
    let nothing = x86_64::structures::DescriptorTablePointer {
        limit: 0,
        base: x86_64::VirtAddr::zero(),
    };
    // SAFETY: with an empty table the next exception is a triple fault, by which the processor
    // resets the machine.
    unsafe {
        x86_64::instructions::tables::lidt(&nothing);
        core::arch::asm!("ud2", options(nomem, nostack));
    }
}
