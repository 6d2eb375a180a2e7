//! The smallest image: prints a line and ends. It is what the time to boot is measured against.
#![no_std]
#![no_main]

use core::convert::Infallible;
use norma_boot::{Node, println};

norma_boot::image!(main, uninspected);

fn main(node: Node) -> Result<(), Infallible> {
    println!("hello from node {}", node.name());
    Ok(())
}
