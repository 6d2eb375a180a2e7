//! The first instructions of a program, and its end.

use crate::task::Task;
use crate::{println, system};
use core::arch::naked_asm;
use core::fmt::Display;
use core::panic::PanicInfo;
use norma_abi::call;
use norma_ipc::Name;

/// Bytes of the first thread's stack.
const STACK: u64 = 256 * 1024;

unsafe extern "Rust" {
    /// What [`program!`](crate::program) makes of `main`.
    fn norma_program_main(port: u32) -> !;
}

/// The kernel starts a program without a stack, and with the name of its first port.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn norma_program_start() -> ! {
    naked_asm!(
        "mov r12, rdi",
        "mov eax, {map}",
        "mov edi, {stack}",
        "syscall",
        "test eax, eax",
        "jnz 2f",
        "lea rsp, [rdx + {stack}]",
        "mov rdi, r12",
        "xor ebp, ebp",
        "call {main}",
        "2:",
        "mov eax, {exit}",
        "mov edi, {no_stack}",
        "syscall",
        "ud2",
        map = const call::MAP,
        stack = const STACK,
        main = sym begin,
        exit = const call::EXIT,
        no_stack = const NO_STACK,
    )
}

/// The number with which a program ends that got no memory for its stack.
const NO_STACK: u64 = 102;

/// The number with which a program ends that panicked.
const PANICKED: u64 = 101;

extern "C" fn begin(port: u64) -> ! {
    // SAFETY: defined by the macro with this signature.
    unsafe { norma_program_main(port as u32) }
}

/// Called by [`program!`](crate::program).
#[doc(hidden)]
pub fn __start<E: Display>(port: u32, main: fn(Task) -> Result<(), E>) -> ! {
    match main(Task::new(Name::from_raw(port))) {
        Ok(()) => exit(0),
        Err(error) => {
            println!("failed: {error}");
            exit(1)
        }
    }
}

pub(crate) fn exit(code: u64) -> ! {
    loop {
        let _ = system::plain(call::EXIT, [code, 0, 0, 0]);
    }
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    exit(PANICKED)
}

/// Makes `$main` what the program runs: a function that takes a [`Task`] and
/// returns a `Result` whose error can be displayed.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn norma_program_main(port: u32) -> ! {
            $crate::__start(port, $main)
        }
    };
}
