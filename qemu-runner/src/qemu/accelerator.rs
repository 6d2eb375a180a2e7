//! Which accelerator QEMU uses.
//!
//! Owns the choice and its reason, which is always printed: `/dev/kvm` may exist and be useless,
//! interpreting every instruction a thousand times slower than QEMU's own emulator. That is the
//! case where the processor shows neither `vmx` nor `svm`.

use std::path::Path;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// KVM where it is real, else TCG.
    #[default]
    Auto,
    /// QEMU's emulator.
    Tcg,
    /// Hardware virtualization.
    Kvm,
}

/// What QEMU is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's emulator.
    Tcg,
    /// Hardware virtualization.
    Kvm,
}

impl Accelerator {
    /// QEMU's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }
}

/// Chooses, and says why.
#[must_use]
pub fn choose(wanted: Wanted) -> (Accelerator, String) {
    match wanted {
        Wanted::Tcg => (Accelerator::Tcg, "asked for by --accel tcg".into()),
        Wanted::Kvm => (Accelerator::Kvm, "asked for by --accel kvm".into()),
        Wanted::Auto => {
            let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            let opens = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(Path::new("/dev/kvm"));
            judge(&cpuinfo, opens.map(drop).map_err(|error| error.to_string()))
        }
    }
}

/// What is to be said about an accelerator that somebody has insisted on.
#[must_use]
pub fn advice(accelerator: Accelerator) -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    slow(accelerator, &cpuinfo)
}

fn slow(accelerator: Accelerator, cpuinfo: &str) -> Option<String> {
    let useless = accelerator == Accelerator::Kvm && virtualization_flag(cpuinfo).is_none();
    useless.then(|| {
        "KVM was asked for, and the processor shows neither vmx nor svm in /proc/cpuinfo: if KVM \
         runs at all, it interprets every instruction, up to a thousand times slower than \
         `--accel tcg`"
            .into()
    })
}

fn judge(cpuinfo: &str, kvm: Result<(), String>) -> (Accelerator, String) {
    let Some(flag) = virtualization_flag(cpuinfo) else {
        let why = "the processor shows neither vmx nor svm in /proc/cpuinfo";
        return (Accelerator::Tcg, why.into());
    };
    match kvm {
        Ok(()) => (
            Accelerator::Kvm,
            format!("the processor has {flag} and /dev/kvm opens"),
        ),
        Err(error) => (
            Accelerator::Tcg,
            format!("the processor has {flag}, but /dev/kvm does not open: {error}"),
        ),
    }
}

fn virtualization_flag(cpuinfo: &str) -> Option<&'static str> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    ["vmx", "svm"]
        .into_iter()
        .find(|flag| flags.split_whitespace().any(|word| word == *flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_file_alone_is_not_enough() {
        assert_eq!(judge("flags\t: fpu sse2\n", Ok(())).0, Accelerator::Tcg);
        assert_eq!(judge("", Ok(())).0, Accelerator::Tcg);
        assert_eq!(
            judge("flags : fpu vmx_unknown\n", Ok(())).0,
            Accelerator::Tcg
        );
    }

    #[test]
    fn a_slow_accelerator_is_warned_of() {
        let text = slow(Accelerator::Kvm, "flags : fpu sse\n").unwrap();
        assert!(text.contains("--accel tcg"), "{text}");
        assert_eq!(slow(Accelerator::Kvm, "flags : fpu svm\n"), None);
        assert_eq!(slow(Accelerator::Tcg, ""), None);
    }

    #[test]
    fn kvm_needs_both() {
        assert_eq!(judge("flags : fpu svm sse\n", Ok(())).0, Accelerator::Kvm);
        let (accelerator, why) = judge("flags : vmx\n", Err("Permission denied".into()));
        assert_eq!(accelerator, Accelerator::Tcg);
        assert!(why.contains("Permission denied"), "{why}");
    }
}
