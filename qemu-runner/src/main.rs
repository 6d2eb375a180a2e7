//! The command `cargo norma`. All that it does is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    qemu_runner::qemu::become_qemu_if_asked();
    qemu_runner::cli::main()
}
