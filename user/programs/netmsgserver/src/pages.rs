//! Pages of messages: of the heap, or where a program's memory was mapped for the server.
//!
//! Owns: the bound of the former. Memory that a program sends is never copied before it is
//! written into a frame.

use crate::limits::PAGES;
use alloc::rc::Rc;
use core::cell::Cell;
use norma_ipc::{PAGE_SIZE, PageSource};
use norma_user::Memory;

/// A page, held by one owner or shared by several.
#[derive(Debug)]
pub enum Page {
    /// Of the heap.
    Sheet(Rc<Sheet>),
    /// One of a program's.
    Part(Rc<Memory>, usize),
}

#[derive(Debug)]
pub struct Sheet {
    bytes: [u8; PAGE_SIZE],
    held: Rc<Cell<usize>>,
}

impl Drop for Sheet {
    fn drop(&mut self) {
        self.held.set(self.held.get() - 1);
    }
}

impl norma_ipc::Page for Page {
    fn share(&self) -> Self {
        match self {
            Page::Sheet(sheet) => Page::Sheet(Rc::clone(sheet)),
            Page::Part(memory, page) => Page::Part(Rc::clone(memory), *page),
        }
    }

    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        match self {
            Page::Sheet(sheet) => &sheet.bytes,
            Page::Part(memory, page) => memory.page(*page),
        }
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]> {
        match self {
            Page::Sheet(sheet) => Rc::get_mut(sheet).map(|sheet| &mut sheet.bytes),
            // Whoever wants to write takes a copy.
            Page::Part(..) => None,
        }
    }
}

/// Gives pages of the heap, up to a bound.
#[derive(Debug, Default)]
pub struct Pages {
    held: Rc<Cell<usize>>,
}

impl PageSource for Pages {
    type Page = Page;

    fn allocate(&mut self) -> Option<Page> {
        let held = self.held.get();
        if held >= PAGES {
            return None;
        }
        self.held.set(held + 1);
        Some(Page::Sheet(Rc::new(Sheet {
            bytes: [0; PAGE_SIZE],
            held: Rc::clone(&self.held),
        })))
    }
}
