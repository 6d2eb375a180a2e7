//! Ctrl-C and other requests to end.
//!
//! Owns the one signal thread and the list of running QEMU process groups. On the first signal
//! every QEMU is killed; the threads that wait for them then see the end, and guards clean up
//! on the way out. Where nothing runs, or that takes too long, or a second signal comes, the
//! process ends at once.
//!
//! Why a list for the whole process: a signal is for the whole process.

use crate::limits::ORDERLY_END;
use crate::status::Status;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether the end was asked for.
const STEP: Duration = Duration::from_millis(50);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static ORDERLY: AtomicU32 = AtomicU32::new(0);
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Starts the signal thread, once.
pub fn watch() {
    static START: Once = Once::new();
    START.call_once(|| {
        if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) {
            std::thread::spawn(move || signals.forever().for_each(on_signal));
        }
    });
}

/// Whether a request to end has come.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Waits for `time`, unless a request to end comes first: says whether none did.
pub fn pause(time: Duration) -> bool {
    let until = Instant::now() + time;
    while !interrupted() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(STEP.min(left));
    }
    false
}

/// While it lives, a request to end leaves this process the time for an orderly end, though no
/// QEMU runs.
pub(crate) struct Orderly(());

impl Orderly {
    pub(crate) fn begin() -> Self {
        ORDERLY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Orderly {
    fn drop(&mut self) {
        ORDERLY.fetch_sub(1, Ordering::SeqCst);
    }
}

fn on_signal(_signal: i32) {
    let again = INTERRUPTED.swap(true, Ordering::SeqCst);
    let code = i32::from(Status::Interrupted.code());
    let groups = std::mem::take(&mut *groups());
    for group in &groups {
        kill(*group);
    }
    let nothing = groups.is_empty() && ORDERLY.load(Ordering::SeqCst) == 0;
    if again || nothing {
        std::process::exit(code);
    }
    std::thread::spawn(move || {
        std::thread::sleep(ORDERLY_END);
        std::process::exit(code);
    });
}

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(group: i32) {
    if let Some(group) = Pid::from_raw(group) {
        // Already gone is as good as killed.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Notes a process group that must not outlive this process. Kills it at once if a signal has
/// come already.
pub(crate) fn register(group: i32) {
    groups().insert(group);
    if interrupted() {
        kill(group);
    }
}

/// Forgets a process group that has ended.
pub(crate) fn forget(group: i32) {
    groups().remove(&group);
}
