//! The handful of QEMU's plugin functions that are used, declared by hand.
//!
//! Owns: names, types and constants of interface version 1, as QEMU 7.2 exports them.
//! Leaves to others: what to do with them (`install`).
//! Why this way: Debian ships no header, and a binding generator for a dozen functions would
//! be a larger dependency than the functions.
//! Source: QEMU 7.2, "QEMU TCG Plugins" in the developers' documentation.

use core::ffi::{c_char, c_int, c_uint, c_void};

/// The number QEMU gives to a loaded plugin.
pub type PluginId = u64;
/// What QEMU packs about one memory access (size, direction, address space).
pub type MemoryInfo = u32;

/// A translation block, seen only through functions.
#[repr(C)]
pub struct Block {
    _opaque: [u8; 0],
}
/// One instruction of a translation block, seen only through functions.
#[repr(C)]
pub struct Instruction {
    _opaque: [u8; 0],
}
/// What a memory access reached, seen only through functions.
#[repr(C)]
pub struct HardwareAddress {
    _opaque: [u8; 0],
}

/// What QEMU tells about itself when it loads a plugin.
#[repr(C)]
pub struct Info {
    /// Architecture of the guest, such as `x86_64`.
    pub target_name: *const c_char,
    /// Oldest interface version that this QEMU accepts.
    pub version_minimum: c_int,
    /// Interface version of this QEMU.
    pub version_current: c_int,
    /// True for a whole machine, false for QEMU's user mode.
    pub system_emulation: bool,
    /// Processors at start (whole machines only).
    pub processors: c_int,
    /// Processors at most (whole machines only).
    pub processors_at_most: c_int,
}

/// `QEMU_PLUGIN_CB_NO_REGS`: the callback reads no register.
pub const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_MEM_RW`: loads and stores.
pub const LOADS_AND_STORES: c_int = 3;
/// `QEMU_PLUGIN_INLINE_ADD_U64`: add a constant to a 64-bit number, without a call.
pub const INLINE_ADD: c_int = 0;

/// Called for each block that QEMU translates.
pub type TranslateCallback = extern "C" fn(PluginId, *mut Block);
/// Called when an instrumented instruction is about to execute.
pub type ExecuteCallback = extern "C" fn(c_uint, *mut c_void);
/// Called after an instrumented memory access.
pub type MemoryCallback = extern "C" fn(c_uint, MemoryInfo, u64, *mut c_void);

unsafe extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: TranslateCallback);
    pub fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    pub fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const u8;
    pub fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    pub fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    pub fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_int,
        number: *mut c_void,
        addend: u64,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: ExecuteCallback,
        flags: c_int,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        callback: MemoryCallback,
        flags: c_int,
        directions: c_int,
        data: *mut c_void,
    );
    pub fn qemu_plugin_get_hwaddr(info: MemoryInfo, address: u64) -> *mut HardwareAddress;
    pub fn qemu_plugin_hwaddr_is_io(address: *const HardwareAddress) -> bool;
    pub fn qemu_plugin_hwaddr_phys_addr(address: *const HardwareAddress) -> u64;
    pub fn qemu_plugin_hwaddr_device_name(address: *const HardwareAddress) -> *const c_char;
    pub fn qemu_plugin_outs(text: *const c_char);
}
