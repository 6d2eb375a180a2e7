//! Copy-on-write against a model: random sequences of all that can be done to regions, among
//! them allocations that fail. After each step every region has the bytes that it would have if
//! regions never shared anything, exactly the pages are alive that somebody holds, and exactly
//! those pages were copied that were shared when somebody wrote to them (I-37, I-38).

use norma_ipc::{Memory, NoMemory, PAGE_SIZE, Page, PageSource};
use std::cell::Cell;
use std::rc::Rc;

/// A page that counts itself.
#[derive(Debug)]
struct Counted {
    bytes: Rc<[u8; PAGE_SIZE]>,
    alive: Rc<Cell<usize>>,
}

impl Page for Counted {
    fn share(&self) -> Self {
        Counted {
            bytes: self.bytes.clone(),
            alive: self.alive.clone(),
        }
    }

    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]> {
        Rc::get_mut(&mut self.bytes)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if Rc::strong_count(&self.bytes) == 1 {
            self.alive.set(self.alive.get() - 1);
        }
    }
}

#[derive(Default)]
struct Source {
    alive: Rc<Cell<usize>>,
    copies: usize,
    left: usize,
}

impl PageSource for Source {
    type Page = Counted;

    fn allocate(&mut self) -> Option<Counted> {
        self.left = self.left.checked_sub(1)?;
        self.alive.set(self.alive.get() + 1);
        // What was in a page before is nobody's business.
        Some(Counted {
            bytes: Rc::new([0xee; PAGE_SIZE]),
            alive: self.alive.clone(),
        })
    }

    fn copied(&mut self) {
        self.copies += 1;
    }
}

/// A region as it would be without sharing, and which pages it has.
#[derive(Clone)]
struct Plain {
    bytes: Vec<u8>,
    length: usize,
    pages: Vec<usize>,
}

struct World {
    source: Source,
    regions: Vec<Memory<Counted>>,
    plain: Vec<Plain>,
    next_page: usize,
    copies: usize,
    random: u64,
}

impl World {
    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    fn pick(&mut self) -> usize {
        let count = self.regions.len();
        self.random(count)
    }

    fn fresh_page(&mut self) -> usize {
        self.next_page += 1;
        self.next_page
    }

    /// The model's half of a write to a page: it is copied if others hold it.
    fn own(&mut self, region: usize, page: usize, left: &mut usize) -> Result<(), NoMemory> {
        let number = self.plain[region].pages[page];
        let holders = self.plain.iter().flat_map(|plain| &plain.pages);
        if holders.filter(|held| **held == number).count() > 1 {
            *left = left.checked_sub(1).ok_or(NoMemory)?;
            self.copies += 1;
            self.plain[region].pages[page] = self.fresh_page();
        }
        Ok(())
    }

    fn clear_padding(&mut self, region: usize, left: &mut usize) -> Result<(), NoMemory> {
        let length = self.plain[region].length;
        if self.plain[region].bytes[length..].iter().any(|b| *b != 0) {
            self.own(region, length / PAGE_SIZE, left)?;
            self.plain[region].bytes[length..].fill(0);
        }
        Ok(())
    }

    fn create(&mut self) {
        let length = self.random(4 * PAGE_SIZE);
        let pages = length.div_ceil(PAGE_SIZE);
        let mark = self.random(256) as u8;
        self.source.left = pages;
        let region = if self.random(2) == 0 {
            Memory::copy_from(&vec![mark; length], &mut self.source).unwrap()
        } else {
            let mut region = Memory::new();
            for page in 0..pages {
                let mut fresh = self.source.allocate().unwrap();
                fresh.bytes_mut().unwrap().fill(mark);
                let used = (length - page * PAGE_SIZE).min(PAGE_SIZE);
                region.push(fresh, used).unwrap();
            }
            region
        };
        let bytes = region.pages().iter().flat_map(|page| *page.bytes());
        let plain = Plain {
            bytes: bytes.collect(),
            length,
            pages: (0..pages).map(|_| self.fresh_page()).collect(),
        };
        assert!(plain.bytes[..length].iter().all(|byte| *byte == mark));
        self.regions.push(region);
        self.plain.push(plain);
    }

    /// A page and a length from there on, most of which the region has.
    fn part(&mut self, region: usize) -> (usize, usize, bool) {
        let Plain {
            length, ref pages, ..
        } = self.plain[region];
        let most = pages.len() + 1;
        let first = self.random(most + 1);
        let count = self.random(length + 2);
        (first, count, first * PAGE_SIZE + count <= length)
    }

    fn cut(&self, region: usize, first: usize, length: usize) -> Plain {
        let from = &self.plain[region];
        let pages = length.div_ceil(PAGE_SIZE);
        Plain {
            bytes: from
                .bytes
                .iter()
                .skip(first * PAGE_SIZE)
                .take(pages * PAGE_SIZE)
                .copied()
                .collect(),
            length,
            pages: from.pages.iter().skip(first).take(pages).copied().collect(),
        }
    }

    fn share_into(&mut self) {
        let (region, target) = (self.pick(), self.pick());
        if region == target {
            return;
        }
        let mut into = std::mem::take(&mut self.regions[target]);
        self.regions[region].share_into(&mut into).unwrap();
        self.regions[target] = into;
        self.plain[target] = self.cut(region, 0, self.plain[region].length);
    }

    fn share(&mut self) {
        let region = self.pick();
        let (first, length, has) = self.part(region);
        match self.regions[region].share_part(first, length) {
            Ok(part) => {
                assert!(has);
                self.plain.push(self.cut(region, first, length));
                self.regions.push(part);
            }
            Err(NoMemory) => assert!(!has),
        }
    }

    fn take(&mut self) {
        let region = self.pick();
        let (first, length, has) = self.part(region);
        match self.regions[region].take_part(first, length) {
            Ok(part) => {
                assert!(has);
                let cut = self.cut(region, first, length);
                let count = cut.pages.len();
                let from = &mut self.plain[region];
                let at_end = count > 0 && first + count == from.pages.len();
                from.pages.drain(first..first + count);
                from.bytes
                    .drain(first * PAGE_SIZE..(first + count) * PAGE_SIZE);
                from.length = if at_end {
                    from.bytes.len()
                } else {
                    from.length - count * PAGE_SIZE
                };
                self.plain.push(cut);
                self.regions.push(part);
            }
            Err(NoMemory) => assert!(!has),
        }
    }

    fn write(&mut self) {
        let region = self.pick();
        let length = self.plain[region].length;
        let at = self.random(length + 2);
        let count = self.random(2 * PAGE_SIZE).min(self.random(length + 2));
        let mark = self.random(256) as u8;
        let mut left = self.random(4);
        self.source.left = left;
        let done = self.regions[region].write_at(at, &vec![mark; count], &mut self.source);
        let expected = if at + count > length {
            Err(NoMemory)
        } else if count == 0 {
            Ok(())
        } else {
            (at / PAGE_SIZE..(at + count).div_ceil(PAGE_SIZE))
                .try_for_each(|page| self.own(region, page, &mut left))
        };
        assert_eq!((done, self.source.left), (expected, left));
        if done.is_ok() {
            self.plain[region].bytes[at..at + count].fill(mark);
        }
    }

    fn append(&mut self) {
        let (to, from) = (self.pick(), self.pick());
        let pages = self.plain[to].pages.len() + self.plain[from].pages.len();
        if to == from || pages > 12 {
            return;
        }
        let mut left = self.random(4);
        self.source.left = left;
        let region = std::mem::take(&mut self.regions[from]);
        let done = self.regions[to].append_aligned(region, &mut self.source);
        let expected = self
            .clear_padding(to, &mut left)
            .and_then(|()| self.clear_padding(from, &mut left));
        assert_eq!(done.is_ok(), expected.is_ok());
        match done {
            Ok(()) => {
                let appended = self.plain[from].clone();
                let whole = &mut self.plain[to];
                if !appended.pages.is_empty() {
                    whole.length = whole.bytes.len() + appended.length;
                    whole.bytes.extend(appended.bytes);
                    whole.pages.extend(appended.pages);
                }
                self.forget(from);
            }
            Err(region) => self.regions[from] = region,
        }
    }

    fn forget(&mut self, region: usize) {
        self.regions.swap_remove(region);
        self.plain.swap_remove(region);
    }

    fn step(&mut self) {
        match self.random(9) {
            0 if self.regions.len() < 8 => self.create(),
            1 if self.regions.len() < 16 => self.share(),
            2 if self.regions.len() < 16 => self.take(),
            3 if self.regions.len() > 3 => {
                let region = self.pick();
                self.forget(region);
            }
            4 => self.append(),
            5 if self.regions.len() > 3 => self.share_into(),
            _ => self.write(),
        }
    }

    fn check(&self, bytes: bool) {
        let mut pages: Vec<_> = self.plain.iter().flat_map(|plain| &plain.pages).collect();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(self.source.alive.get(), pages.len());
        assert_eq!(self.source.copies, self.copies);
        for (region, plain) in self.regions.iter().zip(&self.plain) {
            assert_eq!(
                (region.len(), region.pages().len()),
                (plain.length, plain.pages.len())
            );
            if bytes {
                let chunks = plain.bytes.chunks(PAGE_SIZE);
                assert!(
                    region
                        .pages()
                        .iter()
                        .zip(chunks)
                        .all(|(page, chunk)| page.bytes() == chunk)
                );
            }
        }
    }
}

#[test]
fn regions_are_as_if_nothing_were_shared() {
    let mut world = World {
        source: Source::default(),
        regions: Vec::new(),
        plain: Vec::new(),
        next_page: 0,
        copies: 0,
        random: 0x9e37_79b9_7f4a_7c15,
    };
    world.create();
    world.create();
    let steps = if cfg!(miri) { 40 } else { 400_000 };
    for step in 0..steps {
        world.step();
        world.check(step % 16 == 0);
    }
    assert!(
        cfg!(miri) || world.copies > steps / 50,
        "copied {}",
        world.copies
    );
    world.regions.clear();
    world.plain.clear();
    world.check(true);
}
