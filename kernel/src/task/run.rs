//! A thread of a task: into ring 3, and back for good.
//!
//! Owns: what of a thread belongs to ring 3, and making the processor right for it whenever it
//! goes there. A thread whose task is at its end goes no more: the way to ring 3 is where it
//! learns so, and [`install`] takes it to the end of [`run`] instead.

use super::arrival::Came;
use super::life::TaskRef;
use super::vector;
use crate::arch::tables::set_kernel_stack;
use crate::arch::user::{self, CROSSING, Frame};
use crate::{arch, thread};
use norma_ipc::ThreadId;

/// A thread of a task. It lies on that thread's stack in the kernel.
#[repr(C)]
pub(crate) struct Context {
    // First: the code that crosses finds it by the address of the whole.
    frame: Frame,
    pub(super) task: TaskRef,
    /// Which thread of the task it is, counted from 0.
    pub(super) index: u32,
    /// What it received and could not take yet.
    pub(super) parked: Option<Came>,
    vector: vector::State,
}

impl Context {
    pub(super) fn vector(&mut self) -> &mut vector::State {
        &mut self.vector
    }
}

/// Runs a thread of a task to its end.
pub(super) fn run(task: TaskRef, index: u32, entry: u64, stack: u64, argument: u64) {
    let mut context = Context {
        frame: Frame {
            kernel_stack: 0,
            entry,
            stack,
            argument,
        },
        task,
        index,
        parked: None,
        vector: vector::State::new(),
    };
    let this = thread::current();
    if context.task.arrive(this) {
        // SAFETY: on this thread's own stack, on which the context stays; what the frame says
        // is what the program asked for.
        unsafe { user::enter((&raw mut context).cast()) };
        context.vector.forget();
        arch::interrupts_on();
    }
    context.parked = None;
    context.task.depart(this);
}

/// The thread that is in the kernel on behalf of its program. Only on the way in, with
/// interrupts off: when a thread has waited, ring 3 may belong to another.
///
/// # Safety
/// To be called from a system call or an exception of a program, before anything waits; nobody
/// else may have the reference.
#[inline(always)]
pub(super) unsafe fn current<'a>() -> &'a mut Context {
    // SAFETY: there the thread's `enter` has put the address of its frame, which is that of the
    // context, and which lies on the stack of this very thread.
    unsafe { &mut **(CROSSING.kernel_stack.get() as *const *mut Context) }
}

/// Makes the processor right for ring 3 in this thread. Interrupts are off. Does not return if
/// the thread is not to go there any more.
pub(crate) extern "C" fn install(frame: *mut Frame) {
    // SAFETY: the frame is the first of a context, which is this thread's.
    let context = unsafe { &mut *frame.cast::<Context>() };
    if context.task.is_ending() {
        CROSSING.kernel_stack.set(0);
        // SAFETY: this thread entered with this frame, and on the way to ring 3 nothing is left
        // on its stack.
        unsafe { user::leave(frame) };
    }
    CROSSING.kernel_stack.set(context.frame.kernel_stack);
    // SAFETY: interrupts are off, and above is only what `enter` keeps there.
    unsafe { set_kernel_stack(context.frame.kernel_stack) };
    context.task.switch_to();
    context.vector.install();
}

/// Has whoever goes to ring 3 next look whether it may.
pub(super) fn look_again() {
    CROSSING.kernel_stack.set(0);
}

/// Ends the running thread of a task.
pub(super) fn end(context: &mut Context) -> ! {
    arch::interrupts_disable();
    look_again();
    let frame = (&raw const context.frame).cast();
    // SAFETY: the thread entered with this frame; its callers hold nothing that has to be
    // given up.
    unsafe { user::leave(frame) }
}

/// A thread's number, for those who end it.
pub(super) type Thread = ThreadId;
