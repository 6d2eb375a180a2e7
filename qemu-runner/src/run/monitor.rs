//! QEMU's monitor, as far as it is of use when a node does not answer.
//!
//! Owns: telling QEMU to raise a non-maskable interrupt, by which a node says what each of its
//! threads does. The protocol (QMP) is lines of JSON: a greeting, then an answer to each command,
//! and events between them.

use crate::limits::MONITOR_PATIENCE;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Answers and events that are read while one answer is waited for.
const LINES: usize = 64;

/// Raises a non-maskable interrupt in the machine whose monitor listens at `socket`.
pub(super) fn interrupt(socket: &Path) -> Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(MONITOR_PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    for command in ["qmp_capabilities", "inject-nmi"] {
        stream.write_all(format!("{{\"execute\":\"{command}\"}}\n").as_bytes())?;
        answered(&mut lines)?;
    }
    Ok(())
}

/// Waits until a command was carried out.
fn answered(lines: &mut impl Iterator<Item = Result<String>>) -> Result<()> {
    for line in lines.take(LINES) {
        let line = line?;
        let said: serde_json::Value = serde_json::from_str(&line)?;
        if said.get("return").is_some() {
            return Ok(());
        }
        if let Some(error) = said.get("error") {
            return Err(Error::other(format!("QEMU's monitor refuses: {error}")));
        }
    }
    Err(Error::other("QEMU's monitor gives no answer"))
}
