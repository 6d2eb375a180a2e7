//! A task from its start to its end.
//!
//! Owns: what belongs to a task as a whole, and giving it up. A task ends when it says so, when
//! a fault of it is not dealt with, when it is told to, or when its last thread ends. Then its
//! threads leave ring 3, each by itself: those that wait are told to give up. The last of them
//! gives up the rights (whoever waits for one of its ports learns so, as when a port dies) and
//! the memory; nobody else notices anything.

use super::elf::{BadProgram, Program};
use super::memory::Memory;
use super::run::{self, Thread};
use super::tables;
use crate::arch::{self, user};
use crate::face::{Disposition, Failure, Node, Right, SendRight, Space};
use crate::limits::{
    TASK_ARGUMENTS, TASK_END_STEP_NS, TASK_NAME, TASK_NAMES, TASK_PAGES, TASK_STACK, TASK_THREADS,
    TASKS,
};
use crate::memory::NoMemory;
use crate::sync::{IrqGuard, IrqLock};
use crate::thread::{self, SpawnError};
use crate::timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use heapless::String;
use norma_ipc::{Name, SpaceId};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It said so, with this number.
    Exited(u64),
    /// It did what it may not: the number of the processor's exception, where, and, for a page
    /// fault, the address.
    Faulted {
        /// The exception.
        vector: u64,
        /// The address of the instruction.
        instruction: u64,
        /// The address that it used.
        address: u64,
    },
    /// It was told to.
    Killed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(code) => write!(f, "exited with {code}"),
            End::Faulted {
                vector,
                instruction,
                address,
            } => write!(
                f,
                "died of exception {vector} at {instruction:#x}, address {address:#x}"
            ),
            End::Killed => f.write_str("was killed"),
        }
    }
}

/// Why a task was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The file is no program.
    Program(BadProgram),
    /// There is no memory, or more than the quota is needed.
    NoMemory,
    /// There are as many tasks or threads as there can be.
    TooMany,
    /// What it is to be started with is longer than [`TASK_ARGUMENTS`].
    TooLong,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Program(error) => error.fmt(f),
            StartError::NoMemory => f.write_str("out of memory for a task"),
            StartError::TooMany => f.write_str("there are as many tasks as there can be"),
            StartError::TooLong => f.write_str("the arguments of a task are too long"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<NoMemory> for StartError {
    fn from(_: NoMemory) -> Self {
        StartError::NoMemory
    }
}

impl From<Failure> for StartError {
    fn from(_: Failure) -> Self {
        StartError::NoMemory
    }
}

/// With what a task is started.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Its name, before each line that it prints.
    pub name: &'a str,
    /// What it can read as its arguments.
    pub arguments: &'a str,
    /// The priority of its threads, and the highest that they can have.
    pub priority: u8,
    /// Pages that it may use.
    pub pages: u32,
}

impl<'a> Options<'a> {
    /// A task of that name, with the usual quota and priority 0.
    pub const fn named(name: &'a str) -> Self {
        Self {
            name,
            arguments: "",
            priority: 0,
            pages: TASK_PAGES,
        }
    }
}

/// What belongs to a task.
pub(crate) struct Inner {
    holders: AtomicU32,
    pub(super) name: String<TASK_NAME>,
    pub(super) arguments: String<TASK_ARGUMENTS>,
    pub(super) priority: u8,
    /// Its space; the value itself goes when the task ends.
    pub(super) space: SpaceId,
    names: IrqLock<Option<Space>>,
    memory: IrqLock<Option<Memory>>,
    threads: IrqLock<Threads>,
    ending: AtomicBool,
    /// All that it had is given up.
    gone: AtomicBool,
    end: IrqLock<Option<End>>,
    /// Who waits for the end.
    waiter: IrqLock<Option<Thread>>,
    pub(super) exceptions: IrqLock<Option<SendRight>>,
}

/// The threads of a task.
struct Threads {
    /// Those that are there or about to come.
    count: usize,
    /// How many there ever were.
    started: u32,
    there: heapless::Vec<Thread, TASK_THREADS>,
}

/// A holder of a task. As `Arc`, whose making cannot fail by halves: there may be no memory.
pub(crate) struct TaskRef(NonNull<Inner>);

// SAFETY: what is in a task is behind locks, or never changes.
unsafe impl Send for TaskRef {}

impl TaskRef {
    fn new(inner: Inner) -> Result<Self, NoMemory> {
        let mut place = Vec::new();
        place.try_reserve_exact(1).map_err(|_| NoMemory)?;
        place.push(inner);
        let place: Box<[Inner]> = place.into_boxed_slice();
        NonNull::new(Box::into_raw(place).cast())
            .map(TaskRef)
            .ok_or(NoMemory)
    }

    pub(super) fn share(&self) -> Self {
        self.holders.fetch_add(1, Ordering::Relaxed);
        TaskRef(self.0)
    }
}

impl Deref for TaskRef {
    type Target = Inner;

    #[inline(always)]
    fn deref(&self) -> &Inner {
        // SAFETY: it lives as long as it has a holder.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let place = core::ptr::slice_from_raw_parts_mut(self.0.as_ptr(), 1);
            // SAFETY: the last holder goes; it came from a box of this shape.
            drop(unsafe { Box::from_raw(place) });
        }
    }
}

/// Tasks that there are.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether the processor was told of ring 3.
static READY: IrqLock<bool> = IrqLock::new(false);

fn get_ready() -> Result<(), NoMemory> {
    let mut ready = READY.lock();
    if !*ready {
        tables::prepare()?;
        user::switch_on();
        *ready = true;
    }
    Ok(())
}

impl Inner {
    fn new(options: Options<'_>, program: &Program<'_>) -> Result<Self, StartError> {
        let mut memory = Memory::new(options.pages)?;
        memory.load(program)?;
        let space = Space::with_quota(TASK_NAMES)?;
        let mut name = String::new();
        for letter in options.name.chars() {
            // A longer name is cut.
            let _ = name.push(letter);
        }
        Ok(Inner {
            holders: AtomicU32::new(1),
            name,
            arguments: String::try_from(options.arguments).map_err(|_| StartError::TooLong)?,
            priority: options.priority,
            space: space.id(),
            names: IrqLock::new(Some(space)),
            memory: IrqLock::new(Some(memory)),
            threads: IrqLock::new(Threads {
                count: 0,
                started: 0,
                there: heapless::Vec::new(),
            }),
            ending: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            end: IrqLock::new(None),
            waiter: IrqLock::new(None),
            exceptions: IrqLock::new(None),
        })
    }

    /// Whether its threads are to leave.
    #[inline(always)]
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Has the processor see its memory. Interrupts must be off.
    #[inline(always)]
    pub(super) fn switch_to(&self) {
        if let Some(memory) = &*self.memory.lock_in_handler() {
            memory.switch_to();
        }
    }

    /// Its memory. While a thread of it runs there is some.
    #[inline(always)]
    pub(super) fn memory(&self) -> IrqGuard<'_, Option<Memory>> {
        self.memory.lock()
    }

    /// The same where interrupts are off, and stay off.
    #[inline(always)]
    pub(super) fn memory_uninterrupted(&self) -> IrqGuard<'_, Option<Memory>> {
        self.memory.lock_in_handler()
    }

    /// Does something with its space. While a thread of it runs there is one.
    #[inline(always)]
    pub(super) fn with_space<R>(
        &self,
        operation: impl FnOnce(&Space) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        // Not under the lock: an operation may wait.
        let space = core::mem::ManuallyDrop::new(Space::borrowed(self.space));
        operation(&space)
    }

    /// A thread is there. Whether it may run.
    pub(super) fn arrive(&self, thread: Thread) -> bool {
        let mut threads = self.threads.lock();
        // There is room: they were counted.
        let _ = threads.there.push(thread);
        !self.is_ending()
    }

    /// A thread has ended; with the last one the task.
    pub(super) fn depart(&self, thread: Thread) {
        let last = {
            let mut threads = self.threads.lock();
            threads.there.retain(|other| *other != thread);
            threads.count -= 1;
            threads.count == 0
        };
        if last {
            self.give_up();
        }
    }

    /// All that it had.
    fn give_up(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.end.lock().get_or_insert(End::Exited(0));
        let exceptions = self.exceptions.lock().take();
        drop(exceptions);
        let space = self.names.lock().take();
        drop(space);
        let memory = self.memory.lock().take();
        drop(memory);
        COUNT.fetch_sub(1, Ordering::Relaxed);
        self.gone.store(true, Ordering::Release);
        let waiter = self.waiter.lock().take();
        if let Some(waiter) = waiter {
            thread::wake(waiter);
        }
    }

    /// Tells all threads to leave, and waits until they have; `own` is one of them that calls
    /// this and leaves afterwards. Only the first who ends a task decides how.
    pub(super) fn finish(&self, end: End, own: Option<Thread>) {
        if self.ending.swap(true, Ordering::Relaxed) {
            return;
        }
        *self.end.lock() = Some(end);
        let own_count = usize::from(own.is_some());
        loop {
            run::look_again();
            let (count, there) = {
                let threads = self.threads.lock();
                (threads.count, threads.there.clone())
            };
            if count <= own_count {
                return;
            }
            for thread in there.into_iter().filter(|thread| Some(*thread) != own) {
                // Not under the lock: who is told may run at once. One that is about to wait is
                // told the next time.
                thread::cancel(thread);
            }
            let _ = thread::block_until(timer::now() + TASK_END_STEP_NS);
        }
    }
}

/// A task, as whoever started it has it. Dropping it leaves the task to itself.
pub struct Task {
    inner: TaskRef,
    port: SendRight,
}

impl Task {
    /// Starts a program: one of [`Programs`](super::Programs).
    ///
    /// # Errors
    /// [`StartError`], and nothing has happened.
    pub fn start(file: &[u8], options: Options<'_>) -> Result<Self, StartError> {
        let program = Program::parse(file).map_err(StartError::Program)?;
        get_ready()?;
        if COUNT.fetch_add(1, Ordering::Relaxed) >= TASKS as u32 {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            return Err(StartError::TooMany);
        }
        let started = Self::begin(&program, options);
        if started.is_err() {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
        started
    }

    #[inline(never)]
    fn begin(program: &Program<'_>, options: Options<'_>) -> Result<Self, StartError> {
        let inner = TaskRef::new(Inner::new(options, program)?)?;
        let (name, port) = inner.with_space(first_port)?;
        // Who starts it gives it a stack: there is nobody in the task yet who could.
        let argument = u64::from(name.raw());
        let spawned = spawn(&inner, program.entry, 0, argument, options.priority);
        spawned.map_err(|error| match error {
            SpawnError::TooMany => StartError::TooMany,
            SpawnError::NoMemory => StartError::NoMemory,
        })?;
        Ok(Task { inner, port })
    }

    /// A right to the port that the task has from the beginning.
    pub const fn port(&self) -> &SendRight {
        &self.port
    }

    /// Ends it.
    pub fn kill(&self) {
        self.inner.finish(End::Killed, None);
    }

    /// How it ended, if it has, and all that it had is given up.
    pub fn ended(&self) -> Option<End> {
        let gone = self.inner.gone.load(Ordering::Acquire);
        gone.then(|| *self.inner.end.lock()).flatten()
    }

    /// Waits for its end.
    pub fn wait(&self) -> End {
        loop {
            *self.inner.waiter.lock() = Some(thread::current());
            if let Some(end) = self.ended() {
                return end;
            }
            thread::block();
        }
    }
}

/// The port that a task has from the beginning, and a right to it.
fn first_port(space: &Space) -> Result<(Name, SendRight), Failure> {
    let name = space.allocate_port()?;
    match space.take(name, Disposition::MakeSend)? {
        Right::Send(right) => Ok((name, right)),
        _ => Err(Failure::InvalidRight),
    }
}

/// Starts a thread of a task.
pub(super) fn spawn(
    task: &TaskRef,
    entry: u64,
    stack: u64,
    argument: u64,
    priority: u8,
) -> Result<u32, SpawnError> {
    let index = {
        let mut threads = task.threads.lock();
        if threads.count == TASK_THREADS {
            return Err(SpawnError::TooMany);
        }
        threads.count += 1;
        threads.started += 1;
        threads.started - 1
    };
    let holder = task.share();
    let priority = priority.min(task.priority);
    let name = task.name.as_str();
    let spawned = Node::started().spawn_with_stack(name, priority, TASK_STACK, move || {
        run::run(holder, index, entry, stack, argument);
    });
    if let Err(error) = spawned {
        task.threads.lock().count -= 1;
        return Err(error);
    }
    Ok(index)
}

/// Ends the task of the running thread, and the thread.
pub(super) fn end_own(context: &mut run::Context, end: End) -> ! {
    context.task.finish(end, Some(thread::current()));
    arch::interrupts_disable();
    run::end(context)
}
