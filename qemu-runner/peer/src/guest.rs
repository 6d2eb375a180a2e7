//! Makes a freshly started Linux kernel a machine that can be measured.
//!
//! Owns: drivers, addresses, the kernel's switches, and the check that time can be told.
//! Leaves to others: which modules there are (the runner puts them into the memory file system,
//! in the order in which they have to be loaded).

use crate::sys;
use anyhow::{Context, Result, bail, ensure};
use std::net::Ipv4Addr;

/// Where the runner puts the modules.
const MODULES: &str = "/modules";

/// The kernel's switches that a well-kept server of small messages has set, too.
const SWITCHES: [(&str, &str); 7] = [
    // A connection that was idle sends at once as much as before.
    ("net/ipv4/tcp_slow_start_after_idle", "0"),
    // Windows that hold several of the largest messages.
    ("net/ipv4/tcp_rmem", "4096 1048576 16777216"),
    ("net/ipv4/tcp_wmem", "4096 1048576 16777216"),
    ("net/core/rmem_max", "16777216"),
    ("net/core/wmem_max", "16777216"),
    // Many callers' frames at once.
    ("net/core/netdev_max_backlog", "4096"),
    // A guest measures nothing about its connections for later ones.
    ("net/ipv4/tcp_no_metrics_save", "1"),
];

/// The two ends.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// What this guest is.
pub struct Role {
    /// Whether it serves or calls.
    pub serving: bool,
    /// The other's hardware address.
    peer: [u8; 6],
}

impl Role {
    /// From the words behind `--` on the kernel's command line.
    pub fn parse(words: &[String]) -> Result<Self> {
        let [role, mac] = words else {
            bail!("expected a role and the peer's hardware address, found {words:?}");
        };
        let serving = match role.as_str() {
            "serving" => true,
            "calling" => false,
            other => bail!("there is no role `{other}`"),
        };
        let octets = mac.split(':').map(|octet| u8::from_str_radix(octet, 16));
        let octets = octets
            .collect::<Result<Vec<_>, _>>()
            .context("hardware address")?;
        let peer = octets
            .try_into()
            .map_err(|_| anyhow::anyhow!("`{mac}` is no hardware address"))?;
        Ok(Self { serving, peer })
    }
}

/// The other end's hardware address, for who sends frames.
pub fn peer_mac() -> Result<[u8; 6]> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    Ok(Role::parse(&words)?.peer)
}

/// From the kernel's hand-over to a machine that can be measured.
pub fn prepare(role: &Role) -> Result<()> {
    sys::mount("proc", "/proc").context("mounting /proc")?;
    sys::mount("sysfs", "/sys").context("mounting /sys")?;
    load_modules()?;
    for (name, value) in SWITCHES {
        let file = format!("/proc/sys/{name}");
        std::fs::write(&file, value).with_context(|| file)?;
    }
    let (own, other) = match role.serving {
        true => (SERVER, CLIENT),
        false => (CLIENT, SERVER),
    };
    sys::device_up(own).context("starting eth0")?;
    sys::set_neighbour(other, role.peer).context("the neighbour's address")?;
    check_clock()
}

fn load_modules() -> Result<()> {
    let files = std::fs::read_dir(MODULES).context(MODULES)?;
    let files = files.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    // Their names begin with their place in the order.
    files.sort();
    for path in files {
        let file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
        sys::load_module(&file).with_context(|| format!("loading {}", path.display()))?;
    }
    Ok(())
}

/// Times are taken from the processor's counter, without a system call. A kernel that does not
/// trust it would take them from something that ticks 250 times a second.
fn check_clock() -> Result<()> {
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = std::fs::read_to_string(file).context(file)?;
    // `tsc-early` is the same counter in the first second, before the kernel trusts it for good.
    ensure!(
        ["tsc", "tsc-early"].contains(&source.trim()),
        "the kernel takes its time from `{}`, not from the processor's counter",
        source.trim()
    );
    Ok(())
}
