//! The program on node `b`: answers what is measured.

use crate::marker::marker;
use crate::{BEGIN, CONTROL, DONE, ECHO, END, Names, SERVICE};
use norma_user::{Failure, Message, ReceiveRight, Task, sleep, spawn};

/// Priority of the measured service: above the thread that takes control messages.
const PRIORITY: u8 = 5;

pub fn run(_task: &Task, names: &Names<'_>) -> Result<(), Failure> {
    let (service, requests) = (ReceiveRight::new()?, ReceiveRight::new()?);
    // As many callers as there are wait at it at once.
    service.set_queue_limit(64)?;
    names.check_in(SERVICE, &service)?;
    names.check_in(CONTROL, &requests)?;
    spawn(PRIORITY, move || serve(&service))?;
    let mut message = requests.receive()?;
    loop {
        match message.id() {
            BEGIN => marker::<0x11>(),
            END => marker::<0x12>(),
            DONE => {
                message.reply()?;
                // The client leaves when it has our answer; it may ask for it again.
                return sleep(core::time::Duration::from_millis(200));
            }
            _ => return Err(Failure::OutOfRange),
        }
        message = requests.reply_and_receive(message)?;
    }
}

/// Answers whatever comes, until the port is gone.
pub fn serve(port: &ReceiveRight) {
    let mut next = port.receive();
    while let Ok(mut message) = next {
        if message.id() != ECHO {
            message.clear_data();
            drop(message.take_memory());
        }
        next = if message.expects_reply() {
            port.reply_and_receive(message)
        } else {
            drop::<Message>(message);
            port.receive()
        };
    }
}
