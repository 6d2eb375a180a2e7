//! What a program may not do, each in its own way.

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};
use norma_user::{FAULT, Failure, ReceiveRight, Task, println, spawn};

/// Does what is asked, which ends the task.
pub fn fault(what: &str) -> Result<(), Failure> {
    let code = fault as *const () as *mut u8;
    // SAFETY: none of it is sound: that is what it is for. The kernel ends the task.
    unsafe {
        match what {
            "null" => drop(black_box(core::ptr::null::<u8>()).read_volatile()),
            "kernel" => drop(black_box(0xffff_8000_0010_0000 as *const u8).read_volatile()),
            "write-code" => code.write_volatile(0),
            "execute" => {
                let mut data = [0xc3u8; 16];
                let target: extern "C" fn() = core::mem::transmute(black_box(data.as_mut_ptr()));
                target();
            }
            "jump" => asm!("jmp {}", in(reg) 0xffff_ffff_8020_0000u64),
            "canonical" => asm!("jmp {}", in(reg) 0x8000_0000_0000_0000u64),
            "stack" => drop(deep(1)),
            "divide" => asm!("div {0:e}", in(reg) 0, out("eax") _, out("edx") _),
            "invalid" => asm!("ud2"),
            "halt" => asm!("hlt"),
            "cli" => asm!("cli"),
            "port" => asm!("out 0xf4, al", in("al") 1u8),
            "msr" => asm!("wrmsr", in("ecx") 0xc000_0082u32, in("eax") 0, in("edx") 0),
            "control" => asm!("mov cr3, {}", in(reg) 0u64),
            "interrupt" => asm!("int 0x20"),
            "trap" => asm!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop"),
            "aligned" => asm!(
                "pushfq",
                "or dword ptr [rsp], 0x40000",
                "popfq",
                "mov eax, [{}]",
                in(reg) 0x40_0001u64,
                out("eax") _
            ),
            "no-stack" => asm!("xor esp, esp", "push rax"),
            other => {
                println!("nobody knows how to {other}");
                return Err(Failure::NotSupported);
            }
        }
    }
    Err(Failure::NotSupported)
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deep(level: u64) -> u64 {
    let here = black_box([level; 64]);
    deep(here[0] + 1) + here[1]
}

static DIVISOR: AtomicU32 = AtomicU32::new(0);

/// A thread divides by zero; another is told, mends it, and the first goes on.
pub fn handled(task: &Task) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    task.set_exception_port(&port.make_send()?)?;
    let handler = spawn(0, move || {
        let mut message = port.receive().expect("a fault comes");
        assert_eq!(message.id(), FAULT);
        let vector = message.data()[0];
        println!("exception {vector} is mended");
        DIVISOR.store(7, Ordering::Relaxed);
        message.clear_data();
        message.set_id(0);
        message.reply().expect("the thread waits");
    })?;
    let quotient: u32;
    // SAFETY: the divisor is zero when this is tried for the first time; the rest is arithmetic.
    unsafe {
        asm!(
            "div dword ptr [{}]",
            in(reg) DIVISOR.as_ptr(),
            inout("eax") 42 => quotient,
            inout("edx") 0 => _,
        );
    }
    handler.join();
    match quotient {
        6 => Ok(()),
        _ => Err(Failure::OutOfRange),
    }
}
