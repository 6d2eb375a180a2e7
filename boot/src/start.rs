//! Everything is wired here, in order, and nowhere else.
//!
//! Owns: the order of the start, and the way out. What is missing is said, with the QEMU option
//! that mends it, and the image leaves with the code for a refusal.

use crate::information::{BootInfo, Start};
use crate::node::Node;
use crate::paging::{self, Bump};
use core::fmt::Display;
use core::panic::PanicInfo;
use norma_drivers::clock;
use norma_drivers::entropy;
use norma_drivers::exit::{ExitCode, exit};
use norma_kernel::arch::{self, layout, tables};
use norma_kernel::memory::{self, NoMemory, Region, carve::carve};
use norma_kernel::{console, face, host, interrupt, panic, println, timer, trace};
use x86_64::VirtAddr;

/// Whether a node answers what tools ask about it, and with what.
#[doc(hidden)]
pub type Inspected = Option<fn()>;

/// What an image runs.
pub type Main<E> = fn(Node) -> Result<(), E>;

/// Called by [`image!`](crate::image) on the first thread's stack, with the physical address of
/// the start information. Sets up the machine, runs `main` and leaves.
#[doc(hidden)]
pub fn __start<E: Display>(start_info: u64, main: Main<E>, inspected: Inspected) -> ! {
    let entered = clock::ticks();
    let [_, fault_stack, nmi_stack] = layout::image_stacks();
    // SAFETY: this is the first thing that happens, interrupts are off, and the stacks are
    // reserved for this by the linker script.
    unsafe { tables::load(VirtAddr::new(fault_stack.end), VirtAddr::new(nmi_stack.end)) };
    console::initialise();
    trace::begin();
    // SAFETY: the provisional tables map the first GiB, and low memory is never given away.
    let Some(start) = (unsafe { Start::read(start_info) }) else {
        refuse("no start information: the image must be started by QEMU's -kernel (PVH)");
    };
    set_up_memory(&start).unwrap_or_else(|problem| refuse(problem));
    interrupt::initialise().unwrap_or_else(|problem| refuse(problem));
    timer::begin().unwrap_or_else(|problem| refuse(problem));
    let boot = BootInfo {
        command_line: start.command_line(),
        modules: start.modules().iter().map(module).collect(),
        seed: entropy::seed().unwrap_or_else(|problem| refuse(problem)),
    };
    arch::interrupts_on();
    let node = Node::start(boot).unwrap_or_else(|problem| refuse(problem));
    // The clock was being measured meanwhile.
    timer::initialise().unwrap_or_else(|problem| refuse(problem));
    trace::identify(node.name());
    let now = timer::now();
    console::write_text(&["norma: ready node=", node.name(), "\n"]);
    // After the line: nothing that a service does depends on it.
    println!(
        "norma: started boot_us={} kernel_us={}",
        now / 1000,
        (now - timer::nanoseconds(entered)) / 1000
    );
    if let Some(serve) = inspected {
        serve();
    }
    if let Err(failure) = host::start() {
        println!("norma: other nodes cannot ask this one about itself: {failure}");
    }
    let ended = main(node);
    if let Err(error) = &ended {
        println!("norma: failed: {error}");
    }
    face::Node::started().settle();
    exit(match ended {
        Ok(()) => ExitCode::Pass,
        Err(_) => ExitCode::Fail,
    })
}

/// Says what is missing and leaves.
fn refuse(problem: impl Display) -> ! {
    println!("norma: refused to start: {problem}");
    exit(ExitCode::Refused)
}

fn set_up_memory(start: &Start) -> Result<(), &'static str> {
    const TOO_SMALL: &str = "not enough memory: start QEMU with `-m 16` or more";
    let ram = start.ram();
    if ram.is_empty() {
        return Err("no memory map in the start information: QEMU 4.0 or newer is needed");
    }
    let image = paging::image();
    let modules = start.modules();
    let mut bump = Bump {
        rest: after_image(&ram, image, &modules),
    };
    let too_small = |_: NoMemory| TOO_SMALL;
    // SAFETY: called once, on the provisional tables; the region behind the image is free.
    unsafe { paging::switch(&ram, &mut bump) }.map_err(too_small)?;
    let end = ram.iter().map(|region| region.end).max().unwrap_or(0);
    let table = bump
        .take(memory::table_bytes(end) as u64)
        .map_err(too_small)?;
    // Memory below 1 MiB keeps what the firmware and the loader left there: the command line.
    let low = Region {
        start: 0,
        end: 1 << 20,
    };
    let taken = Region {
        start: image.start,
        end: bump.rest.start,
    };
    let mut used = modules;
    // The list has room for two more than modules.
    let _ = used.push(low);
    let _ = used.push(taken);
    let free = carve(&ram, &used);
    // SAFETY: called once; what is in use has been cut out, and all RAM is in the direct map.
    unsafe { memory::initialise(&free, table, end) };
    Ok(())
}

/// The free memory behind the image, up to the first module, in the first GiB, which the
/// provisional tables map.
fn after_image(ram: &[Region], image: Region, modules: &[Region]) -> Region {
    let mut end = 1 << 30;
    for region in ram {
        if region.start <= image.start && region.end >= image.end {
            end = region.end.min(end);
        }
    }
    for module in modules {
        if module.start >= image.end {
            end = module.start.min(end);
        }
    }
    Region {
        start: image.end,
        end,
    }
    .shrink_to(memory::FRAME as u64)
}

fn module(region: &Region) -> &'static [u8] {
    // SAFETY: the loader put a file there, in RAM, which is in the direct map; it has been cut
    // out of the free memory, so nobody writes to it.
    unsafe { core::slice::from_raw_parts(layout::direct(region.start), region.size() as usize) }
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    panic::panic(info)
}
