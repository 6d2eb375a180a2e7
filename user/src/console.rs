//! Lines for the console, which puts the task's name before each.

use crate::system;
use core::fmt::{self, Write};
use norma_abi::call;

/// Collects a line, for each call of the kernel prints whole lines.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn flush(&mut self) {
        let address = self.bytes.as_ptr() as u64;
        // SAFETY: the kernel reads the bytes of this buffer. What cannot be printed is lost.
        let _ = unsafe { system::call(call::PRINT, [address, self.length as u64, 0, 0]) };
        self.length = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.length == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.length] = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Writes formatted text as lines of its own; what [`println!`](crate::println) calls.
pub fn write(arguments: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; 256],
        length: 0,
    };
    // A failing `Display` cuts the line short.
    let _ = line.write_fmt(arguments);
    line.flush();
}

/// Writes a line to the console.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => { $crate::write(format_args!($($argument)*)) };
}
