//! What was measured when the question was asked first.
//!
//! Owns: published figures, each with its source.
//! Why this way: machines of then and an emulator of now share no unit, so only ratios stand
//! side by side; and they need their conditions beside them.

use serde::Serialize;

/// A published figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Published {
    /// What was measured.
    pub what: &'static str,
    /// The figure, with its unit.
    pub figure: &'static str,
    /// On what.
    pub conditions: &'static str,
    /// Where it was published.
    pub source: &'static str,
}

const BARRERA: &str = "J. S. Barrera III, \"A Fast Mach Network IPC Implementation\", \
                       Proc. USENIX Mach Symposium, 1991, section 4";
const MAEDA: &str = "C. Maeda and B. N. Bershad, \"Protocol Service Decomposition for \
                     High-Performance Networking\", Proc. 14th SOSP, 1993, table 2";
const DOUGLIS: &str = "F. Douglis, J. K. Ousterhout, M. F. Kaashoek and A. S. Tanenbaum, \"A \
                       Comparison of Two Distributed Systems: Amoeba and Sprite\", Computing \
                       Systems 4(4), 1991, table 1";

/// The third of them, beside what is measured of the same.
pub const SERVER_AGAINST_KERNEL: &str = "3.68 (9.2 ms / 2.5 ms)";

/// All of them.
pub static PUBLISHED: [Published; 6] = [
    Published {
        what: "simple RPC through the user-level network message server (netmsgserver)",
        figure: "9.2 ms",
        conditions: "two i486 PCs, Mach 2.5, TCP/IP, Ethernet",
        source: BARRERA,
    },
    Published {
        what: "the same RPC by the kernel (NORMA)",
        figure: "2.5 ms",
        conditions: "the same machines",
        source: BARRERA,
    },
    Published {
        what: "user-level server against kernel, the whole round trip",
        figure: "3.68 times",
        conditions: "the two figures above, divided",
        source: BARRERA,
    },
    Published {
        what: "RPC by the kernel (NORMA) against the machine's own raw messages (NX)",
        figure: "0.9 ms against 0.7 ms: 1.29 times",
        conditions: "Intel iPSC/2, 16 MHz i386",
        source: BARRERA,
    },
    Published {
        what: "UDP round trip of 1 byte: in the kernel; by a UNIX server; by a library in user space",
        figure: "1.45 ms; 3.61 ms; 1.23 ms",
        conditions: "DECstation 5000/200, Ethernet: a user-level stack that is well built loses \
                     nothing, so a part of the ratio above is the quality of a relay",
        source: MAEDA,
    },
    Published {
        what: "empty RPC of Amoeba, at kernel level and at user level",
        figure: "1.1 ms and 1.2 ms",
        conditions: "Sun 3/60, 10 Mbit/s Ethernet",
        source: DOUGLIS,
    },
];
