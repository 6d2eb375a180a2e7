//! The console: whole lines from any thread, and a way around the lock for a panic.
//!
//! Owns: the serial line and the order of what is written to it. Leaves to others: what the
//! lines mean. A line is written with interrupts off, so that two threads' lines never mix.

use crate::sync::IrqLock;
use core::fmt::{self, Write};
use norma_drivers::serial::{COM1, Serial};

static CONSOLE: IrqLock<Serial> = IrqLock::new(Serial::attach(COM1));

/// Sets the line up.
pub fn initialise() {
    *CONSOLE.lock() = Serial::initialise(COM1);
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}

/// Writes formatted text; what [`print!`](crate::print) and [`println!`](crate::println) call.
pub fn write(arguments: fmt::Arguments<'_>) {
    // The serial line's writer never fails; a failing `Display` cuts the line short.
    let _ = Buffered::new(&mut CONSOLE.lock()).write_all(arguments);
}

/// Writes pieces of text one behind the other. For a line on whose time it depends: formatting
/// is a thousand instructions to do, and hundreds to translate where a machine is emulated.
pub fn write_text(pieces: &[&str]) {
    let mut line = CONSOLE.lock();
    for piece in pieces {
        line.write_bytes(piece.as_bytes());
    }
}

/// Writes formatted text without waiting for the lock: for a panic, whoever holds it.
pub(crate) fn write_at_once(arguments: fmt::Arguments<'_>) {
    let _ = Buffered::new(&mut Serial::attach(COM1)).write_all(arguments);
}

/// Writes to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::write(format_args!($($argument)*)) };
}

/// Writes a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::console::write(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::console::write(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Collects the many small pieces that formatting makes, because the line takes sixteen bytes
/// for the price of one.
struct Buffered<'a> {
    line: &'a mut Serial,
    bytes: heapless::Vec<u8, 128>,
}

impl<'a> Buffered<'a> {
    fn new(line: &'a mut Serial) -> Self {
        Self {
            line,
            bytes: heapless::Vec::new(),
        }
    }

    fn write_all(&mut self, arguments: fmt::Arguments<'_>) -> fmt::Result {
        let result = self.write_fmt(arguments);
        self.flush();
        result
    }

    fn flush(&mut self) {
        self.line.write_bytes(&self.bytes);
        self.bytes.clear();
    }
}

impl Write for Buffered<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.as_bytes().chunks(self.bytes.capacity()) {
            if self.bytes.extend_from_slice(piece).is_err() {
                self.flush();
                // A piece is never longer than the empty buffer.
                let _ = self.bytes.extend_from_slice(piece);
            }
        }
        Ok(())
    }
}

struct Logger;

static LOGGER: Logger = Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => "error",
            log::Level::Warn => "warning",
            log::Level::Info => "info",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        crate::println!("norma: {level}: {}", record.args());
    }

    fn flush(&self) {}
}
