//! Pages of the daemon: on the heap, used again, and counted for whoever they are held for.
//!
//! Owns: the accounts. A page is charged when it is taken and credited when its last holder drops
//! it, wherever the message went meanwhile; so a program whose messages nobody receives uses up
//! its own account and nobody else's. Leaves to others: whose turn it is ([`Pages::on_account_of`]).

use crate::limits::KEEP_PAGES;
use norma_ipc::{PAGE_SIZE, PageSource};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How many pages somebody has, and may have.
#[derive(Debug)]
pub struct Account {
    held: Cell<usize>,
    limit: usize,
}

impl Account {
    /// Nothing yet, and at most `limit` pages.
    #[must_use]
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self {
            held: Cell::new(0),
            limit,
        })
    }

    /// Pages that are charged.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }
}

#[derive(Debug)]
struct Sheet {
    bytes: [u8; PAGE_SIZE],
    account: Option<Rc<Account>>,
}

impl Sheet {
    /// Nobody has it any more.
    fn credit(&mut self) {
        if let Some(account) = self.account.take() {
            account.held.set(account.held.get().saturating_sub(1));
        }
    }
}

/// A page, held by one owner or shared by several.
#[derive(Debug)]
pub struct Page(Option<Rc<Sheet>>);

/// Only a page that is being dropped is empty.
const EMPTY: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

impl norma_ipc::Page for Page {
    fn share(&self) -> Self {
        Self(self.0.clone())
    }

    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        self.0.as_ref().map_or(&EMPTY, |sheet| &sheet.bytes)
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]> {
        let sheet = Rc::get_mut(self.0.as_mut()?)?;
        Some(&mut sheet.bytes)
    }
}

thread_local! {
    /// The daemon has one thread.
    static FREE: RefCell<Vec<Rc<Sheet>>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Page {
    fn drop(&mut self) {
        let Some(mut sheet) = self.0.take() else {
            return;
        };
        if let Some(last) = Rc::get_mut(&mut sheet) {
            last.credit();
            // When the thread ends there is no list any more.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEEP_PAGES {
                    free.push(sheet);
                }
            });
        }
    }
}

/// Gives pages on somebody's account.
#[derive(Debug)]
pub struct Pages {
    network: Rc<Account>,
    task: Option<Rc<Account>>,
}

impl Pages {
    /// For a node that may hold so many pages of what comes from the network.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            network: Account::new(limit),
            task: None,
        }
    }

    /// Gives pages on that account from now on; without one, on the network's.
    pub fn on_account_of(&mut self, task: Option<Rc<Account>>) {
        self.task = task;
    }
}

impl PageSource for Pages {
    type Page = Page;

    fn allocate(&mut self) -> Option<Page> {
        let account = self.task.as_ref().unwrap_or(&self.network);
        if account.held.get() >= account.limit {
            return None;
        }
        account.held.set(account.held.get() + 1);
        let account = Some(Rc::clone(account));
        let used = FREE.with(|free| free.borrow_mut().pop());
        Some(Page(Some(match used {
            Some(mut sheet) => {
                if let Some(sheet) = Rc::get_mut(&mut sheet) {
                    sheet.account = account;
                }
                sheet
            }
            None => Rc::new(Sheet {
                bytes: EMPTY,
                account,
            }),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_ipc::Page as _;

    #[test]
    fn a_page_is_charged_until_its_last_holder_drops_it() {
        let mut pages = Pages::new(2);
        let account = Account::new(1);
        pages.on_account_of(Some(Rc::clone(&account)));
        let mut page = pages.allocate().unwrap();
        page.bytes_mut().unwrap()[0] = 7;
        assert!(pages.allocate().is_none());
        let other = page.share();
        assert!(page.bytes_mut().is_none());
        drop(page);
        assert_eq!((account.held(), other.bytes()[0]), (1, 7));
        // Who has used up his own leaves others theirs.
        pages.on_account_of(None);
        let network: Vec<_> = std::iter::from_fn(|| pages.allocate()).collect();
        assert_eq!(network.len(), 2);
        drop(other);
        assert_eq!(account.held(), 0);
        pages.on_account_of(Some(account));
        assert!(pages.allocate().is_some());
    }
}
