//! Pages that are counted: a page that is lost, or freed too early, shows.

use std::cell::Cell;
use std::rc::Rc;

use norma_ipc::{PAGE_SIZE, Page};

/// How many pages exist, over all that share the counter.
pub type Alive = Rc<Cell<usize>>;

#[derive(Debug)]
struct Frame {
    bytes: Box<[u8; PAGE_SIZE]>,
    alive: Alive,
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

/// A page with a mark in its first bytes.
#[derive(Debug)]
pub struct CountedPage(Rc<Frame>);

impl CountedPage {
    pub fn new(mark: u32, alive: &Alive) -> Self {
        let mut bytes = Box::new([0; PAGE_SIZE]);
        bytes[..4].copy_from_slice(&mark.to_le_bytes());
        alive.set(alive.get() + 1);
        CountedPage(Rc::new(Frame {
            bytes,
            alive: Rc::clone(alive),
        }))
    }

    pub fn mark(&self) -> u32 {
        let [a, b, c, d, ..] = *self.0.bytes;
        u32::from_le_bytes([a, b, c, d])
    }
}

impl Page for CountedPage {
    fn share(&self) -> Self {
        CountedPage(Rc::clone(&self.0))
    }

    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.0.bytes
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]> {
        Rc::get_mut(&mut self.0).map(|frame| &mut *frame.bytes)
    }
}
