//! Every snippet of docs/service.md.
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{
    CallError, Delivery, Failure, Frames, Memory, Message, Node, Notification, PortSet,
    ReceiveRight, SendError, SendOnceRight, SendRight, Start, node, println,
};

norma_boot::image!(main);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(&node),
        _ => client(&node),
    }
}

fn make_port() -> Result<(ReceiveRight, SendRight), Failure> {
    let port = ReceiveRight::new()?;
    port.set_queue_limit(64)?;
    let right = port.make_send()?;
    Ok((port, right))
}

fn serve(node: &Node) -> Result<(), Failure> {
    let (port, right) = make_port()?;
    right.check_in("sum")?;
    let (desk, desk_right) = make_port()?;
    desk_right.check_in("desk")?;
    node.spawn("desk", 4, move || {
        let _ = pass_on(&desk, &[right]);
    })?;
    let (later, right) = make_port()?;
    right.check_in("later")?;
    node.spawn("sum", 4, move || sums(&port))?;
    let (shop, right) = make_port()?;
    right.check_in("shop")?;
    node.spawn("shop", 4, move || {
        while let Ok(mut message) = shop.receive() {
            if sell(&mut message).is_ok() {
                let _ = message.reply();
            }
        }
    })?;
    let (heir, right) = make_port()?;
    right.check_in("heir")?;
    node.spawn("heir", 4, move || while take_over(&heir).is_ok() {})?;
    let (door, right) = make_port()?;
    right.check_in("door")?;
    node.spawn("door", 4, move || {
        let _ = let_in(&door);
    })?;
    answer_in_pairs(&later)
}

fn sums(port: &ReceiveRight) {
    let mut received = port.receive();
    while let Ok(mut message) = received {
        received = match add_up(&mut message) {
            Ok(()) => port.reply_and_receive(message),
            Err(failure) => {
                println!("sum: {failure}");
                drop(message); // The caller is told that there will be no answer.
                port.receive()
            }
        };
    }
}

fn add_up(message: &mut Message) -> Result<(), Failure> {
    let memory = message.take_memory();
    let sum: u64 = memory.chunks().flatten().map(|byte| u64::from(*byte)).sum();
    message.set_data(&sum.to_le_bytes())
}

fn answer_in_pairs(port: &ReceiveRight) -> Result<(), Failure> {
    let mut first: Option<SendOnceRight> = None;
    loop {
        let mut message = port.receive()?;
        if let Some(subscriber) = message.take_right()? {
            let _ = subscriber.send(Message::with_data(b"welcome")?);
        }
        if !message.expects_reply() {
            continue;
        }
        if let Some(waiting) = first.take() {
            let _ = waiting.send(Message::with_data(b"one more came")?);
            let _ = message.reply();
        } else {
            first = Some(message.take_reply()?);
        }
    }
}

fn pass_on(port: &ReceiveRight, workers: &[SendRight]) -> Result<(), Failure> {
    for worker in workers.iter().cycle() {
        // One that cannot be sent is dropped, and its caller hears of it.
        let _ = worker.send(port.receive()?);
    }
    Ok(())
}

fn let_in(door: &ReceiveRight) -> Result<(), Failure> {
    let (room, news) = (ReceiveRight::new()?, ReceiveRight::new()?);
    let set = PortSet::new()?;
    for port in [door, &room, &news] {
        set.add(port)?;
    }
    let mut guests = 0;
    loop {
        match set.receive_any()? {
            Delivery::Message(mut request) if door.received(&request) => {
                request.push_send_to(&room)?;
                guests += 1;
                room.notify_no_senders(guests, news.make_send_once()?)?;
                let _ = request.reply();
            }
            Delivery::Message(said) => println!("a guest: {}", said.data().escape_ascii()),
            Delivery::Notification(Notification::NoSenders { make_sends })
                if make_sends == guests =>
            {
                println!("all {guests} guests have left");
            }
            Delivery::Notification(_) => {} // Of a request that was replaced.
        }
    }
}

fn visit(node: &Node) -> Result<(), Failure> {
    let door = node.wait_for("door", Duration::from_secs(20))?;
    let mut answer = door.call(Message::new()?)?;
    let room = answer.take_right()?.ok_or(Failure::InvalidRight)?;
    let news = ReceiveRight::new()?;
    room.notify_death(news.make_send_once()?)?;
    say(&room, Message::with_data(b"good morning")?)?;
    match news.receive_any_timeout(Duration::from_millis(50)) {
        Err(Failure::TimedOut) => println!("the room is still there"),
        Ok(Delivery::Notification(Notification::DeadName { failure, .. })) => {
            println!("the room is gone: {failure}");
        }
        other => println!("{other:?}"),
    }
    Ok(())
}

fn say(room: &SendRight, message: Message) -> Result<(), Failure> {
    let Err(refused) = room.try_send(message) else {
        return Ok(());
    };
    let news = ReceiveRight::new()?;
    room.notify_room(news.make_send_once()?)?;
    // Here is time for something else.
    println!("{:?}", news.receive_any()?);
    Ok(room.try_send(refused.message)?)
}

fn client(node: &Node) -> Result<(), Failure> {
    let sum = node.wait_for("sum", Duration::from_secs(20))?;
    let mut message = Message::new()?;
    message.set_memory(&[1; 100_000])?;
    let answer = sum.call(message)?;
    println!("{}", answer.data().escape_ascii());
    message = answer;
    message.clear_data();
    let message = ask(&sum, message)?;
    let desk = node.wait_for("desk", Duration::from_secs(20))?;
    drop(ask(&desk, message)?);
    let later = node.wait_for("later", Duration::from_secs(20))?;
    let second = later.copy()?;
    node.spawn("second", 4, move || {
        let _ = Message::new().map(|message| second.call(message));
    })?;
    let answer = later.call(Message::new()?)?;
    println!("{}", answer.data().escape_ascii());
    tell(&later, Message::new()?)?;
    hand_out(&later)?;
    visit(node)?;
    fill()?;
    let list = Memory::copy_from(&[b'.'; 5000], &mut Frames)?;
    let shop = node.wait_for("shop", Duration::from_secs(20))?;
    println!("{} to pay", order(&shop, &list)?);
    let (news, right) = make_port()?;
    alone(&right)?;
    told(&right, &news)?;
    look_at("b")?;
    find_out(&sum)?;
    begin(node)?;
    let (work, way) = make_port()?;
    tell(&way, Message::new()?)?;
    let heir = node.wait_for("heir", Duration::from_secs(20))?;
    let ours = hand_over(work, &heir)?;
    let answer = way.call(Message::new()?)?;
    let whose = if ours.is_some() { "ours" } else { "the heir's" };
    println!("{} is {whose}", answer.data().escape_ascii());
    println!("done");
    Ok(())
}

fn alone(right: &SendRight) -> Result<(), Failure> {
    match right.claim("registry") {
        Ok(()) => println!("nobody else has it"), // A second later.
        Err(Failure::NameTakenBy { node }) => println!("{node} has it already"),
        Err(other) => return Err(other),
    }
    Ok(())
}

fn told(right: &SendRight, news: &ReceiveRight) -> Result<(), Failure> {
    right.check_in_telling("printer", news.make_send_once()?)?;
    Ok(())
}

fn look_at(name: &str) -> Result<(), Failure> {
    let about = node(name).information()?;
    println!(
        "{} has run for {:?}, {} threads",
        about.name, about.uptime, about.threads
    );
    for card in node(name).cards()? {
        println!(
            "MTU {}, {} frames came",
            card.mtu, card.counters.frames_received
        );
    }
    Ok(())
}

fn find_out(right: &SendRight) -> Result<(), Failure> {
    let location = right.location()?;
    let status = node(location.node.as_str()).port(right)?;
    println!("on {}, queue {:?}", location.node, status.queue);
    Ok(())
}

fn worker(start: &mut Start) {
    let text = start.message.data().len();
    println!("{text} bytes to work on");
    // Until there is an order, or nobody is left to give one.
    let _ = start.orders().receive();
}

fn begin(this: &Node) -> Result<(), Failure> {
    this.register_entry("worker", 4, worker)?;
    let worker = node(this.name()).spawn("worker", Message::with_data(b"work")?)?;
    worker.control().send(Message::new()?)?;
    worker.wait(Duration::from_secs(20))
}

fn ask(service: &SendRight, message: Message) -> Result<Message, Failure> {
    match service.call_timeout(message, Duration::from_millis(500)) {
        Ok(answer) => Ok(answer),
        Err(CallError {
            failure,
            message: Some(message),
        }) => {
            println!(
                "not sent: {failure}; {} bytes are here again",
                message.data().len()
            );
            Err(failure)
        }
        Err(CallError { failure, .. }) => {
            println!("sent, and no answer: {failure}");
            Err(failure)
        }
    }
}

fn tell(service: &SendRight, message: Message) -> Result<(), Failure> {
    match service.try_send(message) {
        Ok(()) => Ok(()),
        Err(SendError {
            failure: Failure::Full,
            message,
        }) => Ok(service.send_timeout(message, Duration::from_secs(1))?),
        Err(error) => Err(error.failure),
    }
}

fn order(shop: &SendRight, list: &Memory) -> Result<u64, Failure> {
    let news = ReceiveRight::new()?;
    let mut message = Message::new()?;
    message
        .write()
        .u32(7)?
        .text("tea")?
        .array(&[0.5, 0.25])?
        .make_send(&news)?
        .copy_memory(list)?;
    let mut answer = shop.call(message)?;
    let price = answer.read()?.u64()?;
    Ok(price)
}

fn sell(message: &mut Message) -> Result<(), Failure> {
    let mut reader = message.read()?;
    let number = reader.u32()?;
    let what = reader.text()?;
    let weights = reader.array::<f64>()?;
    let news = reader.send_right()?;
    let list = reader.memory()?;
    println!("{number} times {what}, {} bytes of list", list.len());
    let price = weights.map(|weight| (weight * 100.0) as u64).sum();
    reader.end()?;
    news.send(Message::with_data(b"noted")?)?;
    message.write().u64(price)?;
    Ok(())
}

fn hand_out(service: &SendRight) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let mut message = Message::with_data(b"tell me here")?;
    message
        .push_right(port.make_send()?)
        .map_err(|_| Failure::NoMemory)?;
    service.send(message)?;
    match port.receive_timeout(Duration::from_millis(50)) {
        Ok(news) => println!("{}", news.data().escape_ascii()),
        Err(failure) => println!("no news: {failure}"),
    }
    Ok(())
}

fn hand_over(port: ReceiveRight, to: &SendRight) -> Result<Option<ReceiveRight>, Failure> {
    let mut message = Message::with_data(b"go on with this")?;
    message.push_right(port)?;
    match to.send(message) {
        Ok(()) => Ok(None),
        Err(mut refused) => {
            println!("not handed over: {}", refused.failure);
            refused.message.take_receive()
        }
    }
}

fn take_over(door: &ReceiveRight) -> Result<(), Failure> {
    let mut message = door.receive()?;
    let port = message.take_receive()?.ok_or(Failure::InvalidRight)?;
    println!("{} requests wait", port.status()?.queued);
    sums(&port);
    Ok(())
}

fn fill() -> Result<(), Failure> {
    let mut message = Message::new()?;
    message.set_memory(&[0; 8192])?;
    let pages = message.memory_mut().pages_mut();
    if let Some(bytes) = pages.first_mut().and_then(norma_boot::Page::bytes_mut) {
        bytes[..5].copy_from_slice(b"start");
    }
    let memory = message.take_memory();
    let mut other = Message::new()?;
    other
        .replace_memory(memory)
        .map_err(|_| Failure::NoMemory)?;
    println!("{} bytes", other.memory().len());
    Ok(())
}
