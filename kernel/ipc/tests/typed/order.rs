//! What a machine of the other byte order would have sent: worked out from the bytes alone,
//! without the code that is tested.

use super::*;

/// Turns `width` bytes each round.
fn turn(values: &mut [u8], width: usize) {
    values.chunks_mut(width).for_each(<[u8]>::reverse);
}

/// Turns a message written here into the same as written by an unlike machine.
pub fn make_foreign(message: &mut Message<HeapPage>, source: &mut HeapPages) {
    let mut data = message.data().to_vec();
    let (mut at, mut page) = (0, 0);
    while at < data.len() {
        let (kind, width) = (data[at], usize::from(data[at + 1]));
        let out_of_line = data[at + 2] == 1;
        let count = u32::from_ne_bytes(data[at + 4..at + 8].try_into().unwrap()) as usize;
        data[at + 4..at + 8].reverse();
        at += 8;
        let bytes = count * width;
        let numbers = matches!(kind, 1..=3);
        if out_of_line {
            let memory = message.memory_mut();
            let end = page * PAGE_SIZE + bytes;
            while page * PAGE_SIZE < end {
                let used = (end - page * PAGE_SIZE).min(PAGE_SIZE);
                if numbers {
                    turn(&mut memory.page_mut(page, source).unwrap()[..used], width);
                }
                page += 1;
            }
        } else {
            if numbers && bytes > 0 {
                turn(&mut data[at..at + bytes], width);
            }
            at += bytes.next_multiple_of(8);
        }
    }
    message.set_data(&data).unwrap();
    let other = match ByteOrder::NATIVE {
        ByteOrder::Little => ByteOrder::Big,
        ByteOrder::Big => ByteOrder::Little,
    };
    message.set_format(Format::new(true, other));
}
