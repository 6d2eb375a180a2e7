//! Node `b`: answers what is measured, and counts its own side of each stretch.

use crate::control::{BEGIN, CONTROL, DONE, ECHO, END, PREPARE_RAW, SERVICE};
use crate::counts::{self, Stretch};
use crate::item::Item;
use crate::{Doing, Error, raw};
use norma_boot::{Failure, Message, Node, ReceiveRight, println};

/// Priority of the measured service: above the thread that takes control messages.
const PRIORITY: u8 = 5;

pub fn run(node: &Node, items: &[Item]) -> Result<(), Error> {
    let service = ReceiveRight::new().doing("a port")?;
    let control = ReceiveRight::new().doing("a port")?;
    for (port, name) in [(&service, SERVICE), (&control, CONTROL)] {
        let right = port.make_send().doing(name)?;
        right
            .check_in(name)
            .map_err(|_| Failure::NoMemory)
            .doing(name)?;
    }
    node.spawn("service", PRIORITY, move || serve(&service))
        .map_err(|_| Failure::NoMemory)
        .doing("a thread")?;
    let mut stretch = None;
    let mut message = control.receive().doing("control")?;
    loop {
        let (item, round) = stretch_of(&message, items);
        match message.id() {
            BEGIN => {
                stretch = Some(Stretch::begin(node));
                counts::open_serving();
            }
            END => {
                counts::close_serving();
                if let Some(stretch) = stretch.take() {
                    print(item, round, &stretch.end(node));
                }
            }
            PREPARE_RAW => {
                message.reply().doing("control")?;
                raw::serve(node, item, round).doing(item.name)?;
                message = control.receive().doing("control")?;
                continue;
            }
            DONE => {
                message.reply().doing("control")?;
                // The client leaves when it has our answer; it may ask for it again.
                node.sleep(core::time::Duration::from_millis(200));
                return Ok(());
            }
            _ => return Err(Failure::InvalidRight).doing("an unknown control message"),
        }
        message = control.reply_and_receive(message).doing("control")?;
    }
}

/// Prints what this node counted in a stretch.
pub fn print(item: &Item, round: u32, totals: &counts::Totals) {
    println!(
        "@counts {{\"name\":\"{}\",\"round\":{round},\"n\":{},\"counts\":{totals}}}",
        item.name, item.n
    );
}

fn stretch_of<'a>(message: &Message, items: &'a [Item]) -> (&'a Item, u32) {
    let word = |at: usize| {
        let bytes = message.data().get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    let last = items.len() - 1;
    (&items[(word(0) as usize).min(last)], word(4))
}

fn serve(port: &ReceiveRight) {
    let mut next = port.receive();
    while let Ok(mut message) = next {
        if message.id() != ECHO {
            message.clear_data();
            message.memory_mut().clear();
        }
        next = if message.expects_reply() {
            port.reply_and_receive(message)
        } else {
            drop(message);
            port.receive()
        };
    }
}
