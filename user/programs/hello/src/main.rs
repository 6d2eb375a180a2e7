//! The smallest program: prints a line and ends.
#![no_std]
#![no_main]

use norma_user::{Task, println};

norma_user::program!(main);

fn main(task: Task) -> Result<(), norma_user::Failure> {
    println!("hello from ring 3, {}", task.arguments());
    Ok(())
}
