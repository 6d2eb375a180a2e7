//! Node `b`: answers what is measured, and counts its own side of each stretch.

use crate::control::{self, BEGIN, CONTROL, DONE, ECHO, END, PORTS, PREPARE_RAW, SERVICE};
use crate::counts::{self, Stretch};
use crate::item::Item;
use crate::{Doing, Error, STACK, ports, raw, spawn};
use alloc::boxed::Box;
use norma_boot::{Failure, Node, ReceiveRight, println};

/// Priority of the measured service: above the thread that takes control messages.
const PRIORITY: u8 = 5;

pub fn run(node: &Node, items: &[Item]) -> Result<(), Error> {
    let service = ReceiveRight::new().doing("a port")?;
    let requests = ReceiveRight::new().doing("a port")?;
    for (port, name) in [(&service, SERVICE), (&requests, CONTROL)] {
        let right = port.make_send().doing(name)?;
        right
            .check_in(name)
            .map_err(|_| Failure::NoMemory)
            .doing(name)?;
    }
    let body = Box::new(move || serve(&service));
    spawn(node, "service", PRIORITY, STACK, body).doing("a thread")?;
    let mut stretch = None;
    let mut message = requests.receive().doing("control")?;
    loop {
        let (what, item, round) = control::unpack(message.id());
        let item = &items[(item as usize).min(items.len() - 1)];
        match what {
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
                message = requests.receive().doing("control")?;
                continue;
            }
            PORTS => {
                let right = ports::start(node).doing("ports")?;
                message
                    .push_right(right)
                    .map_err(|error| error.failure)
                    .doing("ports")?;
            }
            DONE => {
                message.reply().doing("control")?;
                // The client leaves when it has our answer; it may ask for it again.
                return node
                    .sleep(core::time::Duration::from_millis(200))
                    .doing("leaving");
            }
            _ => return Err(Failure::InvalidRight).doing("an unknown control message"),
        }
        message = requests.reply_and_receive(message).doing("control")?;
    }
}

/// Prints what this node counted in a stretch.
pub fn print(item: &Item, round: u32, totals: &counts::Totals) {
    println!(
        "@counts {{\"name\":\"{}\",\"round\":{round},\"n\":{},\"counts\":{totals}}}",
        item.name, item.n
    );
}

fn serve(port: &ReceiveRight) {
    let mut next = port.receive();
    while let Ok(mut message) = next {
        if message.id() != ECHO {
            message.clear_data();
            message.memory_mut().clear();
            while let Ok(Some(right)) = message.take_any_right() {
                drop(right);
            }
        }
        next = if message.expects_reply() {
            port.reply_and_receive(message)
        } else {
            drop(message);
            port.receive()
        };
    }
}
