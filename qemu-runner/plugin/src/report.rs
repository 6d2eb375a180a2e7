//! One JSON line per marker, and the plugin's arguments.
//!
//! Owns: the format of a line, `out=PATH`.
//! Leaves to others: reading lines in pairs (`qemu-runner`'s benchmark module).
//! Why this way: absolute values, written at once by one `write` each, so that lines survive
//! a guest that is killed, and any two of them can be subtracted.

use crate::counters::Counters;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// The line for a marker, with its line end.
pub fn line(marker: u8, counters: &Counters) -> String {
    let get = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let mut text = format!(
        "{{\"marker\":{marker},\"kernel\":{},\"user\":{},\"hlt\":{},\"syscall\":{},\"cr3\":{},\
         \"port\":{},\"wrmsr\":{},\"device\":{},\"registers\":{{",
        get(&counters.kernel),
        get(&counters.user),
        get(&counters.halts),
        get(&counters.system_calls),
        get(&counters.address_spaces),
        get(&counters.ports),
        get(&counters.model_registers),
        get(&counters.devices),
    );
    if let Ok(map) = counters.by_register.lock() {
        for (index, ((device, register), count)) in map.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let device = device.replace(|c: char| c.is_control() || "\"\\".contains(c), "_");
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}\"{device}+{register:#05x}\":{count}");
        }
    }
    text.push_str("}}\n");
    text
}

/// Takes the output path out of the plugin's arguments.
pub fn output_path<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<String, String> {
    let mut path = None;
    for argument in arguments {
        match argument.split_once('=') {
            Some(("out", value)) if !value.is_empty() => path = Some(value.to_owned()),
            _ => return Err(format!("unknown argument `{argument}`, expected out=PATH")),
        }
    }
    path.ok_or_else(|| "no output file, expected out=PATH".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object() {
        let counters = Counters::new();
        counters.kernel.store(7, Ordering::Relaxed);
        counters.device_access("virtio-mmio", 0x50);
        counters.device_access("virtio-mmio", 0x50);
        counters.device_access("odd\"name\\", 0x1234);
        assert_eq!(
            line(0x11, &counters),
            "{\"marker\":17,\"kernel\":7,\"user\":0,\"hlt\":0,\"syscall\":0,\"cr3\":0,\"port\":0,\
             \"wrmsr\":0,\"device\":3,\"registers\":{\"odd_name_+0x1234\":1,\
             \"virtio-mmio+0x050\":2}}\n"
        );
    }

    #[test]
    fn arguments() {
        assert_eq!(output_path(["out=/a/b"].into_iter()), Ok("/a/b".into()));
        assert!(
            output_path([].into_iter())
                .unwrap_err()
                .contains("out=PATH")
        );
        assert!(output_path(["out="].into_iter()).is_err());
        assert!(
            output_path(["out=x", "speed=11"].into_iter())
                .unwrap_err()
                .contains("speed")
        );
    }
}
