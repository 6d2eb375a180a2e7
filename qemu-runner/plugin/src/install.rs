//! Where QEMU calls in: loading, translation, memory accesses, markers.
//!
//! Owns: all `unsafe` of the plugin, and the decision what is instrumented how.
//! Leaves to others: what an instruction is (`classify`), the numbers (`counters`).
//! Why this way: **every instruction** gets its own inline addition. One addition of the
//! block's length at its start would be cheaper, but counts instructions that never run when
//! a block is left early: by a page fault, an interrupt window or a write to a device that
//! stops the machine. Marker instructions are left out, so that the difference between two
//! markers is what stands between them.
//! A repeated string instruction counts once per turn, because the translation leaves the
//! block after each; an instruction that faults and is run again counts twice, because it
//! was executed twice.

use crate::api::*;
use crate::classify::{Kind, classify};
use crate::counters::COUNTERS;
use crate::report;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

static OUTPUT: OnceLock<File> = OnceLock::new();

/// QEMU's entry into the plugin. A result other than 0 makes QEMU stop with an error.
///
/// # Safety
/// Called once by QEMU with a valid `info` and `count` valid, permanent strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    info: *const Info,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: QEMU passes a structure that lives for the call; `Info` has its layout.
    let info = unsafe { &*info };
    let count = usize::try_from(count).unwrap_or(0);
    let arguments = (0..count).map(|i| {
        // SAFETY: QEMU passes `count` pointers to strings ended by a zero.
        unsafe { CStr::from_ptr(*arguments.add(i)) }
            .to_str()
            .unwrap_or("(not UTF-8)")
    });
    match prepare(info, arguments) {
        Ok(file) => {
            let _ = OUTPUT.set(file);
            // SAFETY: the function pointer stays valid as long as the library is loaded.
            unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate) };
            0
        }
        Err(error) => {
            eprintln!("norma-insn-plugin: {error}");
            1
        }
    }
}

fn prepare<'a>(info: &Info, arguments: impl Iterator<Item = &'a str>) -> Result<File, String> {
    let path = report::output_path(arguments)?;
    if !info.system_emulation {
        return Err("counts whole machines only, this is QEMU's user mode".into());
    }
    if info.processors != 1 {
        // Inline additions are not atomic: with two processors some would be lost.
        return Err(format!(
            "counts exactly with one processor only, -smp is {}",
            info.processors
        ));
    }
    File::create(&path).map_err(|error| format!("cannot create {path}: {error}"))
}

extern "C" fn on_translate(_id: PluginId, block: *mut Block) {
    // SAFETY: QEMU passes a block that is valid during this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: `index` is below the number of instructions of this block.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        instrument(instruction);
    }
}

fn instrument(instruction: *mut Instruction) {
    // SAFETY: data and size belong to one valid instruction, and live during translation.
    let bytes = unsafe {
        core::slice::from_raw_parts(
            qemu_plugin_insn_data(instruction),
            qemu_plugin_insn_size(instruction),
        )
    };
    let kind = classify(bytes);
    if let Kind::Marker(id) = kind {
        // SAFETY: valid instruction; the data is a number in the shape of a pointer.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                instruction,
                on_marker,
                NO_REGISTERS,
                id as usize as *mut c_void,
            );
        }
        return;
    }
    // SAFETY: the instruction is valid during translation.
    let address = unsafe { qemu_plugin_insn_vaddr(instruction) };
    count_each(instruction, COUNTERS.by_address(address));
    match kind {
        Kind::Halt => count_each(instruction, &COUNTERS.halts),
        Kind::SystemCall => count_each(instruction, &COUNTERS.system_calls),
        Kind::LoadCr3 => count_each(instruction, &COUNTERS.address_spaces),
        Kind::PortAccess => count_each(instruction, &COUNTERS.ports),
        Kind::WriteMsr => count_each(instruction, &COUNTERS.model_registers),
        Kind::Marker(_) | Kind::Other => {}
    }
    // SAFETY: valid instruction, a function that lives as long as the library, no data.
    unsafe {
        qemu_plugin_register_vcpu_mem_cb(
            instruction,
            on_memory_access,
            NO_REGISTERS,
            LOADS_AND_STORES,
            core::ptr::null_mut(),
        );
    }
}

/// Lets translated code raise `counter` by one each time that `instruction` executes.
fn count_each(instruction: *mut Instruction, counter: &'static AtomicU64) {
    // SAFETY: the counter is a 64-bit number that lives for ever; one processor writes it,
    // in the same thread that reads it in `on_marker`.
    unsafe {
        qemu_plugin_register_vcpu_insn_exec_inline(
            instruction,
            INLINE_ADD,
            counter.as_ptr().cast(),
            1,
        );
    }
}

extern "C" fn on_memory_access(_cpu: c_uint, info: MemoryInfo, address: u64, _data: *mut c_void) {
    // SAFETY: called in a memory callback with its own values, as the function demands; the
    // result is null or valid until the next call in this thread.
    let (is_io, hardware) = unsafe {
        let hardware = qemu_plugin_get_hwaddr(info, address);
        (
            !hardware.is_null() && qemu_plugin_hwaddr_is_io(hardware),
            hardware,
        )
    };
    if !is_io {
        return;
    }
    // SAFETY: `hardware` is not null and still the latest result; the name is a string that
    // QEMU keeps for ever.
    let (register, name) = unsafe {
        let name = qemu_plugin_hwaddr_device_name(hardware);
        let name = if name.is_null() {
            c"unknown"
        } else {
            CStr::from_ptr(name)
        };
        (qemu_plugin_hwaddr_phys_addr(hardware), name)
    };
    COUNTERS.device_access(&device_name(name), register & 0xfff);
}

/// Devices smaller than a page share one, which QEMU names after its own address in memory:
/// give that one name, equal in all runs.
fn device_name(name: &CStr) -> String {
    let name = name.to_string_lossy();
    if name.starts_with("anon") {
        "shared-page".into()
    } else {
        name.into_owned()
    }
}

extern "C" fn on_marker(_cpu: c_uint, data: *mut c_void) {
    let Ok(id) = u8::try_from(data as usize) else {
        return;
    };
    let Some(mut output) = OUTPUT.get() else {
        return;
    };
    if let Err(error) = output.write_all(report::line(id, &COUNTERS).as_bytes()) {
        let text = CString::new(format!("norma-insn-plugin: {error}\n")).unwrap_or_default();
        // SAFETY: a valid string for the time of the call.
        unsafe { qemu_plugin_outs(text.as_ptr()) };
    }
}
