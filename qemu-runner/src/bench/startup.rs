//! From QEMU's start to a ready node; image sizes; the least memory.
//!
//! Owns: these three measurements.
//! Leaves to others: building images and starting machines.
//! Why this way: start-up is compared with a kernel that only prints and exits, under the same
//! QEMU options and in turns with it, because most of the time is QEMU's own and drifts with
//! the host.

use super::merge::nearest;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a node comes up, and what it takes.
#[derive(Clone, Debug, Serialize)]
pub struct Startup {
    /// Times of start.
    pub boot: Boot,
    /// Sizes.
    pub size: Size,
}

/// Medians over repeated starts, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boot {
    /// QEMU's start to the line `norma: ready`.
    pub ready_ms: f64,
    /// QEMU's start to the line of a kernel that only prints and exits.
    pub hello_ms: f64,
    /// The first divided by the second.
    pub ratio: f64,
    /// How often each was started.
    pub n: usize,
}

/// What a node takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Bytes of each image without symbols.
    pub images: BTreeMap<String, u64>,
    /// Whether a pair with 16 MiB each booted and answered calls.
    pub serves_with_16_mib: bool,
}

impl Boot {
    /// The medians of two series of milliseconds. Neither may be empty.
    pub fn of(mut ready: Vec<f64>, mut hello: Vec<f64>) -> Self {
        let n = ready.len().min(hello.len());
        let mut middle = |series: &mut Vec<f64>| {
            series.sort_by(f64::total_cmp);
            nearest(series, 0.5)
        };
        let (ready_ms, hello_ms) = (middle(&mut ready), middle(&mut hello));
        Self { ready_ms, hello_ms, ratio: ready_ms / hello_ms, n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared() {
        let boot = Boot::of(vec![50.0, 36.0, 39.0], vec![30.0, 31.0, 90.0]);
        assert_eq!((boot.ready_ms, boot.hello_ms, boot.n), (39.0, 31.0, 3));
        assert!((boot.ratio - 39.0 / 31.0).abs() < 1e-9);
    }
}
