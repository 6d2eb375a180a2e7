//! A server that gives send rights away while others are given up, and must know when nobody
//! has any left: Mach's race between no-senders notifications and rights that are being made.

use super::{Hope, beside, message, port};
use crate::{Failure, check};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use norma_boot::{Delivery, Failure as Refusal, Message, Node, Notification};
use norma_boot::{PortSet, ReceiveRight, SendRight};
use norma_kernel::thread;

const CLIENTS: u32 = 8;
const RIGHTS: u32 = 50;

static WRONG: AtomicU32 = AtomicU32::new(0);
/// How often nobody had a right, as the server was told.
static IDLE: AtomicU32 = AtomicU32::new(0);

pub fn race(node: &Node) -> Result<(), Failure> {
    let door = port()?;
    let knock = door.make_send().hope("a send right")?;
    let server = beside(node, move || {
        if let Err(failure) = serve(&door) {
            norma_boot::println!("server: {failure}");
            WRONG.fetch_add(1, Ordering::Relaxed);
        }
    })?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let knock = knock.copy().hope("a copy")?;
        // Some of them interrupt the server, some wait for it.
        let priority = (client % 3) as u8;
        let handle = node.spawn("client", priority, move || {
            if visit(&knock).is_err() {
                WRONG.fetch_add(1, Ordering::Relaxed);
            }
        });
        clients.push(handle.hope("a thread can be made")?);
    }
    for client in clients {
        client.join();
    }
    let mut end = message(b"")?;
    end.set_id(END);
    knock.send(end).hope("the end is sent")?;
    server.join();
    check(
        WRONG.load(Ordering::Relaxed) == 0,
        "nobody saw a wrong thing",
    )?;
    check(
        IDLE.load(Ordering::Relaxed) > 0,
        "the server was told when nobody had a right",
    )
}

const END: u32 = 1;

/// Gets a right, uses it or not, and gives it up.
fn visit(knock: &SendRight) -> Result<(), Refusal> {
    for visit in 0..RIGHTS {
        let mut answer = knock.call(Message::new()?)?;
        let right = answer.take_right()?.ok_or(Refusal::InvalidRight)?;
        if visit % 2 == 0 {
            thread::yield_now();
        }
        if visit % 3 == 0 {
            right.send(answer)?;
        }
    }
    Ok(())
}

fn serve(door: &ReceiveRight) -> Result<(), Refusal> {
    let (service, news) = (ReceiveRight::new()?, ReceiveRight::new()?);
    let set = PortSet::new()?;
    for port in [door, &service, &news] {
        set.add(port)?;
    }
    let mut made = 0;
    let mut ended = false;
    service.notify_no_senders(1, news.make_send_once()?)?;
    loop {
        match set.receive_any()? {
            Delivery::Message(request) if door.received(&request) => {
                if request.id() == END {
                    ended = true;
                } else {
                    let mut request = request;
                    request.push_send_to(&service)?;
                    made += 1;
                    request.reply()?;
                }
            }
            Delivery::Message(_) => {}
            Delivery::Notification(Notification::NoSenders { make_sends }) => {
                let sync = if make_sends == made {
                    // Nobody but this thread makes rights, so there is none.
                    if service.status()?.has_senders {
                        return Err(Refusal::InvalidRight);
                    }
                    IDLE.fetch_add(1, Ordering::Relaxed);
                    made + 1
                } else {
                    made
                };
                service.notify_no_senders(sync, news.make_send_once()?)?;
            }
            Delivery::Notification(other) => {
                norma_boot::println!("server: {other}");
                return Err(Refusal::Notified);
            }
        }
        if ended && made == CLIENTS * RIGHTS && !service.status()?.has_senders {
            return Ok(());
        }
    }
}
