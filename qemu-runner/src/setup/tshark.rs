//! tshark: whether it is there, new enough, and runs Lua, in which the dissector is written.

use super::{Finding, Package, PackageManager, State, output};
use std::process::Command;

/// The program.
pub const PROGRAM: &str = "tshark";

/// The oldest version with which the dissector is tried.
const OLDEST: (u32, u32) = (4, 0);

/// The program, its version and its Lua. Only the tests of captures need it.
pub(super) fn program() -> Finding {
    let banner = output(Command::new(PROGRAM).arg("--version"));
    Finding {
        what: "tshark",
        required: false,
        state: judge(banner.as_deref()),
    }
}

fn judge(banner: Option<&str>) -> State {
    let missing = |found: String| State::Missing {
        found,
        fix: match PackageManager::find() {
            Some(manager) => manager.command_line(Package::Tshark),
            None => "install Wireshark 4.0 or newer (https://www.wireshark.org/download)".into(),
        },
    };
    let Some(banner) = banner else {
        return missing(format!("{PROGRAM} is not installed"));
    };
    let Some((major, minor)) = version(banner) else {
        return missing(format!("{PROGRAM} --version says nothing like a version"));
    };
    if (major, minor) < OLDEST {
        let text = format!("{PROGRAM} is version {major}.{minor}; 4.0 or newer is needed");
        return missing(text);
    }
    // It is somewhere in a list that is broken into lines.
    let words: Vec<_> = banner.split_whitespace().collect();
    if !words.windows(2).any(|pair| pair == ["with", "Lua"]) {
        return missing(format!("{PROGRAM} was built without Lua"));
    }
    State::Found(banner.lines().next().unwrap_or_default().to_owned())
}

/// Of `TShark (Wireshark) 4.0.17 (…`.
fn version(banner: &str) -> Option<(u32, u32)> {
    let mut numbers = banner
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?
        .split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(banner: Option<&str>) -> String {
        match judge(banner) {
            State::Found(text) => text,
            State::Missing { found, .. } => found,
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let debian = "TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged)\n\n\
            Compiled (64-bit) with libnl 3, with\nLua 5.2.4, with GnuTLS 3.7.9.";
        assert!(found(Some(debian)).starts_with("TShark (Wireshark) 4.0.17"));
        assert!(found(Some(&debian.replace("Lua 5.2.4", "zlib"))).contains("without Lua"));
        assert!(found(Some(&debian.replace("4.0.17", "3.6.2"))).contains("4.0 or newer"));
        assert!(found(Some("nonsense")).contains("nothing like a version"));
        assert!(found(None).contains("not installed"));
    }
}
