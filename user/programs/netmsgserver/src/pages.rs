//! Pages of messages: of the heap, or where a program's memory was mapped for the server.
//!
//! Owns: the bound of the former. Memory that a program sends is never copied before it is
//! written into a frame.

use crate::limits::{PAGES, SPARE_PAGES};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
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
    shelf: Rc<Shelf>,
}

/// Where pages of the heap come from.
#[derive(Debug, Default)]
struct Shelf {
    /// How many are in use.
    used: Cell<usize>,
    /// Those that are kept for the next frame: a page that is made is zeroed and moved, which
    /// costs as much as two copies.
    spare: RefCell<Vec<Rc<Sheet>>>,
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Page::Sheet(sheet) = self
            && Rc::strong_count(sheet) == 1
        {
            let shelf = &sheet.shelf;
            shelf.used.set(shelf.used.get() - 1);
            let mut spare = shelf.spare.borrow_mut();
            if spare.len() < SPARE_PAGES && spare.try_reserve(1).is_ok() {
                spare.push(Rc::clone(sheet));
            }
        }
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

/// Gives pages of the heap, up to a bound. What is in them is of no meaning.
#[derive(Debug, Default)]
pub struct Pages {
    shelf: Rc<Shelf>,
}

impl PageSource for Pages {
    type Page = Page;

    fn allocate(&mut self) -> Option<Page> {
        let used = self.shelf.used.get();
        if used >= PAGES {
            return None;
        }
        self.shelf.used.set(used + 1);
        let spare = self.shelf.spare.borrow_mut().pop();
        let sheet = spare.unwrap_or_else(|| {
            Rc::new(Sheet {
                bytes: [0; PAGE_SIZE],
                shelf: Rc::clone(&self.shelf),
            })
        });
        Some(Page::Sheet(sheet))
    }
}
