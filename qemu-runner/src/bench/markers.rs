//! Reads the plugin's file: pairs of markers, and what was executed between them.
//!
//! Owns: the lines' format as read, pairing, differences.
//! Leaves to others: writing them (`norma-insn-plugin`), which pair is which stretch (`merge`).
//! Why this way: the plugin prints absolute values at each marker, so a stretch is a
//! difference of two lines, and a pair that is broken shows.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which node's markers a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The node that calls: markers 0x01 and 0x02.
    Calling,
    /// The node that serves: markers 0x11 and 0x12.
    Serving,
}

impl Side {
    fn markers(self) -> (u8, u8) {
        match self {
            Self::Calling => (0x01, 0x02),
            Self::Serving => (0x11, 0x12),
        }
    }
}

/// What a node executed between two markers (totals).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Guest instructions.
    pub instructions: u64,
    /// What would leave a hardware virtual machine: device memory, ports, `wrmsr`.
    pub exits: u64,
    /// `hlt` instructions: these would leave it too, but cost only a node that is idle.
    pub halts: u64,
    /// `syscall` instructions.
    pub system_calls: u64,
    /// Loads of CR3.
    pub address_spaces: u64,
    /// Accesses to device memory, by device and register.
    pub registers: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Line {
    marker: u8,
    kernel: u64,
    user: u64,
    hlt: u64,
    syscall: u64,
    cr3: u64,
    port: u64,
    wrmsr: u64,
    device: u64,
    registers: BTreeMap<String, u64>,
}

/// All stretches of a plugin's file, in order.
///
/// # Errors
/// A line that cannot be read, a marker out of turn, an empty stretch.
pub fn stretches(text: &str, side: Side) -> Result<Vec<Executed>> {
    let (open, close) = side.markers();
    let lines = text.lines().map(|line| {
        serde_json::from_str::<Line>(line).with_context(|| format!("plugin's line: {line}"))
    });
    let lines = lines.collect::<Result<Vec<_>>>()?;
    ensure!(
        lines.len() % 2 == 0,
        "{} markers, one of a pair is missing",
        lines.len()
    );
    let pairs = lines.chunks_exact(2);
    pairs
        .map(|pair| {
            let (first, last) = (&pair[0], &pair[1]);
            let found = (first.marker, last.marker);
            ensure!(
                found == (open, close),
                "markers {found:#04x?}, expected {:#04x?}",
                (open, close)
            );
            let executed = difference(first, last)?;
            ensure!(
                executed.instructions > 0,
                "nothing was executed between two markers"
            );
            Ok(executed)
        })
        .collect()
}

fn difference(first: &Line, last: &Line) -> Result<Executed> {
    let less = |last: u64, first: u64| last.checked_sub(first).context("a counter went backwards");
    let exits = |line: &Line| line.device + line.port + line.wrmsr;
    let mut registers = BTreeMap::new();
    for (register, count) in &last.registers {
        let grown = less(*count, first.registers.get(register).copied().unwrap_or(0))?;
        if grown > 0 {
            registers.insert(register.clone(), grown);
        }
    }
    Ok(Executed {
        instructions: less(last.kernel + last.user, first.kernel + first.user)?,
        exits: less(exits(last), exits(first))?,
        halts: less(last.hlt, first.hlt)?,
        system_calls: less(last.syscall, first.syscall)?,
        address_spaces: less(last.cr3, first.cr3)?,
        registers,
    })
}

impl Executed {
    /// Adds another node's or another round's.
    pub fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.exits += other.exits;
        self.halts += other.halts;
        self.system_calls += other.system_calls;
        self.address_spaces += other.address_spaces;
        for (register, count) in &other.registers {
            *self.registers.entry(register.clone()).or_default() += count;
        }
    }
}
