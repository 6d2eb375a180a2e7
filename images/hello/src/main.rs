//! The smallest image: prints a line and ends. It is what the time to boot is measured against.
#![no_std]
#![no_main]

use core::convert::Infallible;
use norma_boot::{BootInfo, println};

norma_boot::image!(main);

fn main(boot: BootInfo) -> Result<(), Infallible> {
    println!("hello from node {}", boot.node());
    Ok(())
}
