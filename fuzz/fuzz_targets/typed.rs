//! Fuzz: reading typed messages that nobody sane wrote, and then writing and reading sane ones.
//!
//! Reading may never panic or go on for ever; what it takes out and what stays must be all that
//! was in the message; and what is written must be read again.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use norma_ipc::typed::{Kind, ReadError, Reader};
use norma_ipc::{
    ByteOrder, Format, HeapPage, HeapPages, Ipc, Memory, Message, PAGE_SIZE, Right, RightKind,
};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    big_endian: bool,
    rights: Vec<u8>,
    memory: u16,
    /// How to ask for each item: as what it is, or as something else.
    asks: Vec<u8>,
    data: &'a [u8],
}

/// What came out of a message.
#[derive(Default)]
struct Taken {
    rights: Vec<Right>,
    pages: usize,
}

impl Taken {
    fn region(&mut self, region: Memory<HeapPage>) {
        assert_eq!(region.pages().len(), region.len().div_ceil(PAGE_SIZE));
        self.pages += region.pages().len();
    }

    fn rights(
        &mut self,
        reader: &mut Reader<'_, HeapPage>,
        kind: RightKind,
        most: u8,
    ) -> Result<(), ReadError> {
        let mut array = reader.rights(kind)?;
        for _ in 0..most {
            let Some(right) = array.take() else { break };
            if most % 2 == 1 && array.len() > 2 {
                array.put_back(right).unwrap();
            } else {
                self.rights.push(right);
            }
        }
        Ok(())
    }

    /// Asks for an item in the way `ask` says.
    fn ask(&mut self, reader: &mut Reader<'_, HeapPage>, ask: u8) -> Result<(), ReadError> {
        match ask % 24 {
            0 => reader.u8().map(drop),
            1 => reader
                .array::<u16>()
                .map(|values| assert_eq!(values.len(), values.count())),
            2 => reader
                .array::<u32>()
                .map(|values| assert_eq!(values.get(values.len()), None)),
            3 => reader.u64().map(drop),
            4 => reader
                .array::<u128>()
                .map(|values| assert!(values.max() >= values.min())),
            5 => reader.i8().map(drop),
            6 => reader
                .array::<i64>()
                .map(|values| assert!(values.copy_to(&mut [0; 3]) <= 3)),
            7 => reader
                .array::<f32>()
                .map(|values| assert_eq!(values.len(), values.count())),
            8 => reader.f64().map(drop),
            9 => reader
                .array::<bool>()
                .map(|values| assert_eq!(values.len(), values.count())),
            10 => reader.bytes().map(drop),
            11 => reader
                .text()
                .map(|text| assert!(text.chars().count() <= text.len())),
            12 => reader.list().map(drop),
            13 => reader.memory().map(|region| self.region(region)),
            14 => reader.numbers::<u32>().map(|values| {
                assert_eq!(values.len(), values.iter().count());
                self.region(values.into_memory().0);
            }),
            15 => reader
                .numbers::<i128>()
                .map(|values| self.region(values.into_memory().0)),
            16 => reader
                .right(RightKind::Send)
                .map(|right| self.rights.push(right)),
            17 => reader
                .right(RightKind::Receive)
                .map(|right| self.rights.push(right)),
            18 => self.rights(reader, RightKind::Send, ask),
            19 => self.rights(reader, RightKind::SendOnce, ask),
            20 => self.rights(reader, RightKind::Receive, ask),
            _ => reader.skip(),
        }
    }
}

fn read(message: &mut Message<HeapPage>, asks: &[u8], taken: &mut Taken) {
    let mut reader = message.read().unwrap();
    let mut asks = asks.iter();
    // Each round goes behind an item, or ends.
    while let Ok(Some(item)) = reader.peek() {
        assert!(item.kind() != Kind::List || !item.is_out_of_line());
        if taken
            .ask(&mut reader, asks.next().copied().unwrap_or(21))
            .is_err()
            && reader.skip().is_err()
        {
            break;
        }
    }
    let _ = reader.end();
}

fuzz_target!(|case: Case<'_>| {
    let mut ipc = Ipc::<HeapPage>::new();
    let space = ipc.create_space(300).unwrap();
    let port = ipc.allocate_port(space).unwrap();
    let mut message = ipc.new_message().unwrap();
    for kind in case.rights.iter().take(20) {
        let right = match kind % 3 {
            0 => {
                let own = ipc.allocate_port(space).unwrap();
                ipc.extract(space, own, RightKind::Receive).unwrap()
            }
            1 => ipc.make_right(space, port, RightKind::Send).unwrap(),
            _ => ipc.make_right(space, port, RightKind::SendOnce).unwrap(),
        };
        message.push_right(right).unwrap();
    }
    let mut source = HeapPages::default();
    let memory = Memory::copy_from(&vec![3; usize::from(case.memory)], &mut source).unwrap();
    let pages = memory.pages().len();
    let _ = message.replace_memory(memory).unwrap();
    let before = message.rights().len();
    if message.set_data(case.data).is_ok() {
        let order = if case.big_endian {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        };
        message.set_format(Format::new(true, order));
        assert!(message.items().unwrap().count() <= case.data.len() / 8 + 1);
        let mut taken = Taken::default();
        read(&mut message, &case.asks, &mut taken);
        read(&mut message, &case.asks, &mut taken);
        assert_eq!(taken.rights.len() + message.rights().len(), before);
        assert_eq!(taken.pages + message.memory().pages().len(), pages);
        let inside = message.rights().iter();
        ipc.audit(inside.chain(&taken.rights)).unwrap();
        for right in taken.rights {
            ipc.release(right);
        }
    }
    ipc.discard(message);
    ipc.audit(std::iter::empty()).unwrap();

    let mut message = ipc.new_message().unwrap();
    let text = String::from_utf8_lossy(case.data);
    let mut writer = message.write().unwrap();
    let whole = writer.array(&case.rights).is_ok()
        && writer.text(&text).is_ok()
        && writer.bytes(case.data).is_ok();
    if whole {
        let mut reader = message.read().unwrap();
        assert_eq!(reader.array::<u8>().unwrap().as_slice(), case.rights);
        assert_eq!(reader.text().unwrap(), text);
        assert_eq!(reader.bytes().unwrap(), case.data);
        reader.end().unwrap();
    }
    ipc.discard(message);
});
