//! Programs of one daemon: what they can do to each other, and what they cannot.

mod common;

use common::{Daemon, PATIENCE, service};
use norma_client::protocol::{MessageHead, Operation, Request, VERSION};
use norma_client::{
    Context, Delivery, Failure, Message, Node, Notification, PortSet, ReceiveError, ReceiveRight,
    Right, SendRight,
};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

fn alone() -> Daemon {
    Daemon::start("host", &[], Vec::new())
}

/// A connection without the client library.
fn bare(daemon: &Daemon) -> OwnedFd {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let address = SocketAddrUnix::new(&daemon.socket).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    socket
}

fn hello() -> Vec<u8> {
    let mut packet = Vec::new();
    let request = Request {
        value: VERSION,
        ..Request::new(Operation::Hello, 0)
    };
    request.emit(&mut packet);
    packet.extend_from_slice(&[0; 16]);
    packet
}

/// A call from one program to another works.
fn is_well(daemon: &Daemon) {
    let server = daemon.connect();
    let (port, right) = service(&server, "well");
    let thread = thread::spawn(move || port.receive().unwrap().reply().unwrap());
    let client = daemon.connect();
    let well = client.look_up("well").unwrap();
    assert!(well.call(Message::new()).is_ok());
    thread.join().unwrap();
    drop(right);
}

#[test]
fn threads_of_a_program_share_its_rights_and_wait_by_themselves() {
    let daemon = alone();
    let node = daemon.connect();
    assert_eq!(node.name(), "host");
    let (port, right) = service(&node, "many");
    let server = thread::spawn(move || {
        let mut request = port.receive().unwrap();
        for _ in 1..800 {
            request = port.reply_and_receive(request).unwrap();
        }
        request.reply().unwrap();
    });
    let right = std::sync::Arc::new(right);
    let callers: Vec<_> = (0..8_u8)
        .map(|number| {
            let right = std::sync::Arc::clone(&right);
            thread::spawn(move || {
                for _ in 0..100 {
                    let request = Message::with_data(&[number]).unwrap();
                    assert_eq!(right.call(request).unwrap().data(), [number]);
                }
            })
        })
        .collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    server.join().unwrap();
}

#[test]
fn a_set_is_received_from_as_one_port_and_leaves_its_ports_alone() {
    let daemon = alone();
    let node = daemon.connect();
    let (orders, order) = service(&node, "orders");
    let (control, stop) = service(&node, "control");
    let set = PortSet::new(&node).unwrap();
    set.add(&orders).unwrap();
    set.add(&control).unwrap();
    for (port, right) in [(&control, &stop), (&orders, &order), (&control, &stop)] {
        right.send(Message::new()).unwrap();
        assert!(port.received(&set.receive().unwrap()));
    }
    assert!(matches!(
        set.try_receive(),
        Err(ReceiveError::Failure(Failure::Empty))
    ));
    // Out of the set a port is heard alone.
    set.remove(&control).unwrap();
    assert_eq!(set.remove(&control), Err(Failure::NotInSet));
    stop.send(Message::new()).unwrap();
    assert!(set.try_receive().is_err());
    assert!(control.received(&control.try_receive().unwrap()));
    // A name of another task's says nothing here.
    let other = daemon.connect();
    let foreign = ReceiveRight::new(&other).unwrap();
    assert_eq!(set.add(&foreign), Err(Failure::InvalidName));
    // A set that is dropped is gone, and as many can be made as one likes; its ports live on.
    drop(set);
    for _ in 0..5000 {
        PortSet::new(&node).unwrap();
    }
    order.send(Message::new()).unwrap();
    assert!(orders.received(&orders.receive().unwrap()));
}

#[test]
fn what_is_not_sent_comes_back_whole() {
    let daemon = alone();
    let node = daemon.connect();
    let port = ReceiveRight::new(&node).unwrap();
    port.set_queue_limit(1).unwrap();
    let right = port.make_send().unwrap();
    right.send(Message::new()).unwrap();
    let gift = ReceiveRight::new(&node).unwrap();
    let name = gift.name();
    let mut message = Message::with_data(b"inline").unwrap();
    message.set_memory(b"out of line").unwrap();
    message.push_right(gift).unwrap();
    let short = Duration::from_millis(1);
    for _ in 0..2 {
        let refused = right.try_send(message).unwrap_err();
        assert_eq!(refused.failure, Failure::Full);
        let refused = right.send_timeout(refused.message, short).unwrap_err();
        assert_eq!(refused.failure, Failure::TimedOut);
        message = refused.message;
    }
    assert_eq!(message.data(), b"inline");
    assert_eq!(message.take_memory().into_vec().unwrap(), b"out of line");
    let Some(Right::Receive(gift)) = message.take_rights().pop() else {
        panic!("the right came back");
    };
    gift.make_send().unwrap().send(Message::new()).unwrap();
    assert_eq!(gift.receive().unwrap().port(), Some(gift.name()));
    assert_ne!(name.raw(), 0);
}

#[test]
fn waits_end_in_time() {
    let daemon = alone();
    let node = daemon.connect();
    let port = ReceiveRight::new(&node).unwrap();
    let right = port.make_send().unwrap();
    let short = Duration::from_millis(5);
    assert_eq!(port.try_receive().unwrap_err().failure(), Failure::Empty);
    assert_eq!(
        port.receive_timeout(short).unwrap_err().failure(),
        Failure::TimedOut
    );
    let failed = right.call_timeout(Message::new(), short).unwrap_err();
    assert_eq!(failed.failure, Failure::TimedOut);
    // The request is there; its answer finds nobody.
    let refused = port.receive().unwrap().reply().unwrap_err();
    assert_eq!(refused.failure, Failure::PortDied);
    assert_eq!(
        node.wait_for("nobody", short).unwrap_err(),
        Failure::NameUnknown
    );
}

#[test]
fn a_call_that_is_dropped_is_told() {
    let daemon = alone();
    let node = daemon.connect();
    let (port, right) = service(&node, "drops");
    let caller = thread::spawn(move || right.call(Message::new()).unwrap_err().failure);
    drop(port.receive().unwrap());
    assert_eq!(caller.join().unwrap(), Failure::Unanswered);
}

#[test]
fn when_a_program_dies_only_its_rights_go() {
    let daemon = alone();
    let server = daemon.connect();
    let (port, _right) = service(&server, "lasting");
    let client = daemon.connect();
    let own = ReceiveRight::new(&client).unwrap();
    let lasting = client.look_up("lasting").unwrap();
    let mut gift = Message::new();
    gift.push_right(own.make_send().unwrap()).unwrap();
    lasting.send(gift).unwrap();
    let Some(Right::Send(to_client)) = port.receive().unwrap().take_rights().pop() else {
        panic!("a right was sent");
    };
    let news = ReceiveRight::new(&server).unwrap();
    to_client
        .notify_death(news.make_send_once().unwrap())
        .unwrap();
    let no_senders = news.make_send_once().unwrap();
    port.notify_no_senders(1, no_senders).unwrap();
    drop((own, lasting, client));
    let mut told = Vec::new();
    match news.receive_any_timeout(PATIENCE).unwrap() {
        Delivery::Notification(Notification::DeadName { name, .. }) => told.push(name),
        other => panic!("expected a death, got {other:?}"),
    }
    assert_eq!(told, [to_client.name()]);
    // The right that is checked in is a sender still.
    assert!(news.try_receive().is_err());
    is_well(&daemon);
}

#[test]
fn a_program_that_sends_rubbish_costs_only_itself() {
    let daemon = alone();
    let mut state = 7_u64;
    for round in 0..200_u32 {
        let socket = bare(&daemon);
        if round % 2 == 1 {
            rustix::net::send(&socket, &hello(), SendFlags::empty()).unwrap();
        }
        for length in [1, 31, 32, 33, 72, 400] {
            let packet: Vec<u8> = (0..length)
                .map(|at| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // An operation that exists, mostly; the rest anything.
                    match at {
                        0 => 2 + (state >> 40) as u8 % 20,
                        1 => 1 + (state >> 40) as u8 % 3,
                        _ => (state >> 33) as u8,
                    }
                })
                .collect();
            // The daemon may have closed it by now.
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let _ = rustix::net::send(&socket, &packet, flags);
        }
    }
    is_well(&daemon);
}

#[test]
fn a_program_that_never_reads_costs_only_itself() {
    let daemon = alone();
    let socket = bare(&daemon);
    rustix::net::send(&socket, &hello(), SendFlags::empty()).unwrap();
    let mut packet = Vec::new();
    Request::new(Operation::NewPort, 0).emit(&mut packet);
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    // Until what it sends waits in its own socket: the daemon holds one answer, and no more.
    let mut sent = 0;
    while rustix::net::send(&socket, &packet, flags).is_ok() {
        sent += 1;
        assert!(sent < 100_000, "the daemon reads on for ever");
    }
    is_well(&daemon);
    drop(socket);
    is_well(&daemon);
}

#[test]
fn a_program_cannot_take_all_connections() {
    let daemon = alone();
    let node = daemon.connect();
    let many: Vec<_> = (0..200).map(|_| bare(&daemon)).collect();
    // Of the same process: those that the daemon does not take it closes at once.
    let refused = Node::connect(&daemon.socket);
    assert!(refused.is_err());
    // Another process is served: the daemon's own tests are in this one, so the program that was
    // there before still is.
    let port = ReceiveRight::new(&node).unwrap();
    assert_eq!(port.try_receive().unwrap_err().failure(), Failure::Empty);
    drop(many);
    let mut again = Node::connect(&daemon.socket);
    while again.is_err() {
        thread::yield_now();
        again = Node::connect(&daemon.socket);
    }
}

#[test]
fn a_memory_file_that_lies_is_refused() {
    let daemon = alone();
    let node = daemon.connect();
    let port = ReceiveRight::new(&node).unwrap();
    let right = port.make_send().unwrap();
    // It says a megabyte, and the file has a page; or it is no memory file at all.
    let short = rustix::fs::memfd_create("short", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&short, 4096).unwrap();
    let zero = std::fs::File::open("/dev/zero").unwrap();
    for file in [OwnedFd::from(zero), short] {
        assert_eq!(send_file(&daemon, &right, &file), 4);
        assert_eq!(port.try_receive().unwrap_err().failure(), Failure::Empty);
    }
    is_well(&daemon);
}

/// Sends a message of a megabyte from `file` to a port that is checked in; what the answer is.
fn send_file(daemon: &Daemon, right: &SendRight, file: &OwnedFd) -> u8 {
    let _ = right.check_in("megabyte");
    let socket = bare(daemon);
    let mut answer = [0; 256];
    rustix::net::send(&socket, &hello(), SendFlags::empty()).unwrap();
    rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty()).unwrap();
    let mut packet = Vec::new();
    Request::new(Operation::LookUp, 0).emit(&mut packet);
    packet.extend_from_slice(b"megabyte");
    rustix::net::send(&socket, &packet, SendFlags::empty()).unwrap();
    rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty()).unwrap();
    let name = u32::from_le_bytes([answer[4], answer[5], answer[6], answer[7]]);
    packet.clear();
    Request::new(Operation::Send, name).emit(&mut packet);
    let head = MessageHead {
        memory: 1 << 20,
        ..MessageHead::default()
    };
    head.emit(Context::default(), &mut packet);
    send_with(&socket, &packet, file);
    rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty()).unwrap();
    answer[0]
}

fn send_with(socket: &OwnedFd, packet: &[u8], file: &OwnedFd) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage};
    use std::os::fd::AsFd;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    let parts = [rustix::io::IoSlice::new(packet)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::empty()).unwrap();
}

#[test]
fn memory_that_nobody_takes_is_on_its_senders_account() {
    let daemon = alone();
    let hoarder = daemon.connect();
    let heap = ReceiveRight::new(&hoarder).unwrap();
    let right = heap.make_send().unwrap();
    let mut refused = None;
    for _ in 0..16 {
        let mut message = Message::new();
        message.set_memory(&vec![1; 16 << 20]).unwrap();
        if let Err(error) = right.try_send(message) {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the account has an end");
    assert_eq!(refused.failure, Failure::NoMemory);
    assert_eq!(refused.message.memory().len(), 16 << 20);
    // Others have theirs.
    let other = daemon.connect();
    let port = ReceiveRight::new(&other).unwrap();
    let mut message = Message::new();
    message.set_memory(&vec![2; 16 << 20]).unwrap();
    port.make_send().unwrap().send(message).unwrap();
    assert_eq!(port.receive().unwrap().memory().len(), 16 << 20);
    // And what is taken is free again.
    drop(heap.receive().unwrap());
    right.send(refused.message).unwrap();
}

#[test]
fn a_second_daemon_at_one_socket_says_so_and_a_dead_ones_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut first = Daemon::start_at(&socket, "first", &[], Vec::new()).unwrap();
    let refused = Daemon::start_at(&socket, "second", &[], Vec::new());
    let said = refused.err().expect("one socket has one daemon");
    assert!(said.contains("another netmsgd serves"), "{said}");
    first.kill();
    assert!(socket.exists());
    let second = Daemon::start_at(&socket, "second", &[], Vec::new()).unwrap();
    assert_eq!(second.connect().name(), "second");
}

#[test]
fn typed_items_are_read_as_they_were_written() {
    let daemon = alone();
    let node = daemon.connect();
    let port = ReceiveRight::new(&node).unwrap();
    let mut message = Message::new();
    message
        .write_items::<Failure>(|writer| {
            writer.u32(7)?.text("seven")?.array(&[1.5_f64, 2.5])?;
            Ok(())
        })
        .unwrap();
    port.make_send().unwrap().send(message).unwrap();
    let message = port.receive().unwrap();
    let read = message.read_items::<_, norma_ipc::typed::ReadError>(|reader| {
        assert_eq!((reader.u32()?, reader.text()?), (7, "seven"));
        assert!(reader.array::<f64>()?.eq([1.5, 2.5]));
        reader.skip()
    });
    assert_eq!(read, Err(norma_ipc::typed::ReadError::End));
}
