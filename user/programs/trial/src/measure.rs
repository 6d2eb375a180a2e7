//! What a call between two programs costs: the runner's plugin counts the instructions.

use core::arch::asm;
use core::time::Duration;
use norma_user::{Failure, Message, Task, println};

/// Calls in the stretch that is counted.
const CALLS: u64 = 2000;

/// Calls the service of that name with empty messages, between two markers, and ends it.
pub fn null(task: &Task, name: &str) -> Result<(), Failure> {
    let service = task.wait_for(name, Duration::from_secs(30))?;
    let mut message = Message::new()?;
    message.set_id(1);
    for _ in 0..200 {
        message = service.call(message)?;
    }
    let begun = task.now();
    marker::<1>();
    for _ in 0..CALLS {
        message = service.call(message)?;
    }
    marker::<2>();
    let took = task.now() - begun;
    println!("{CALLS} calls, {} ns each", took / CALLS);
    message.set_id(0);
    service.call(message)?;
    Ok(())
}

/// The instruction that the counting plugin looks for; it does nothing.
#[inline(always)]
fn marker<const ID: u32>() {
    // SAFETY: an instruction without effect.
    unsafe {
        asm!(
            "nop dword ptr [rax + {marker}]",
            marker = const 0x7eac_0000 + ID,
            options(nomem, nostack, preserves_flags)
        );
    }
}
