//! Filling an answer: the rows of a table from a cursor on, as far as there is room.

use crate::counters;
use crate::limits::VISITS;
use crate::page::{END, Ended, Page, Question};
use crate::rows::{
    Counters, Exports, Holder, Imports, Names, Node as NodeRow, Ports, Row, Sessions, Spaces,
    Stage, Table, Text, Threads, Wait, port, right, text,
};
use norma_flip::Instant;
use norma_ipc::typed::Writer;
use norma_ipc::{
    HolderView, NoMemory, PageSource, PortView, Sink, SpaceId, TargetView, ThreadId, WaitView,
};
use norma_net::{Node, SessionState};

/// What is not the core's: threads and spaces by name, memory, cards.
pub trait Platform {
    /// What runs the node.
    const NAME: &'static str;

    /// How many threads there are.
    fn threads(&self) -> u32;

    /// Every thread's number is below this one.
    fn thread_places(&self) -> u32;

    /// A thread, without what the core knows of it.
    fn thread(&self, number: u32) -> Option<Threads>;

    /// Whose space that is.
    fn task(&self, space: SpaceId) -> Text;

    /// What it has counted, always in the same order.
    fn counters(&self, put: &mut dyn FnMut(Counters));
}

/// Answers a question.
///
/// # Errors
/// [`NoMemory`]: what was written is of no use then.
pub fn answer<S: PageSource>(
    node: &Node<S>,
    platform: &impl Platform,
    now: Instant,
    question: Question,
    writer: &mut Writer<'_, S::Page>,
) -> Result<(), NoMemory> {
    let mut page = Page::new(writer);
    let from = question.cursor;
    let cursor = match question.table {
        Table::Node => rows(&mut page, from, 1, |_| Some(about(node, platform, now))),
        Table::Threads => rows(&mut page, from, platform.thread_places(), |number| {
            thread(node, platform, number)
        }),
        Table::Ports => rows(&mut page, from, node.ipc_ref().port_places(), |place| {
            port_row(node, place)
        }),
        Table::Spaces => rows(&mut page, from, node.ipc_ref().space_places(), |place| {
            let (space, names, places) = node.ipc_ref().space_view(place)?;
            Some(Spaces {
                task: platform.task(space),
                space: u64::from(place),
                names: u64::from(names),
                places: u64::from(places),
                ..Spaces::default()
            })
        }),
        Table::Sessions => rows(&mut page, from, node.session_places(), |place| {
            session(node, now, place)
        }),
        Table::Names => nested(
            &mut page,
            from,
            node.ipc_ref().space_places(),
            |space| node.ipc_ref().space_view(space).map_or(0, |view| view.2),
            |space, place| name(node, platform, space, place),
        ),
        Table::Exports => nested(
            &mut page,
            from,
            node.session_places(),
            |session| node.export_places(session),
            |session, place| export(node, session, place),
        ),
        Table::Imports => nested(
            &mut page,
            from,
            node.session_places(),
            |session| node.import_places(session),
            |session, place| import(node, session, place),
        ),
        Table::Counters => counters::put(&mut page, from, node, platform),
    }?;
    page.end(Ended { cursor, now: now.0 })
}

/// Puts rows of a table with so many places, and says where to go on.
fn rows<T: Row, P>(
    page: &mut Page<'_, '_, P>,
    from: u64,
    places: u32,
    row: impl Fn(u32) -> Option<T>,
) -> Result<u64, NoMemory> {
    for (visit, place) in (from..u64::from(places)).enumerate() {
        if visit as u32 >= VISITS {
            return Ok(place);
        }
        if let Some(row) = row(place as u32)
            && !page.put(&row)?
        {
            return Ok(place);
        }
    }
    Ok(END)
}

/// The same of tables in the places of a table: the upper half of the cursor is the place in the
/// outer one.
fn nested<T: Row, P>(
    page: &mut Page<'_, '_, P>,
    from: u64,
    outer: u32,
    inner: impl Fn(u32) -> u32,
    row: impl Fn(u32, u32) -> Option<T>,
) -> Result<u64, NoMemory> {
    let mut visits = 0;
    let mut first = from as u32;
    for table in (from >> 32) as u32..outer {
        let cursor = |place: u32| u64::from(table) << 32 | u64::from(place);
        visits += 1; // Also for one without places.
        for place in first..inner(table) {
            visits += 1;
            if visits > VISITS {
                return Ok(cursor(place));
            }
            if let Some(row) = row(table, place)
                && !page.put(&row)?
            {
                return Ok(cursor(place));
            }
        }
        first = 0;
        if visits > VISITS {
            return Ok(cursor(0) + (1 << 32));
        }
    }
    Ok(END)
}

fn about<S: PageSource>(node: &Node<S>, platform: &impl Platform, now: Instant) -> NodeRow {
    NodeRow {
        name: text(node.name().as_str()),
        platform: text(platform_name(platform)),
        address: node.address().0,
        incarnation: node.incarnation(),
        uptime: now.0,
        threads: u64::from(platform.threads()),
        ports: u64::from(node.ipc_ref().port_count()),
        spaces: u64::from(node.ipc_ref().space_count()),
        sessions: node.session_count() as u64,
    }
}

fn platform_name<P: Platform>(_: &P) -> &'static str {
    P::NAME
}

fn thread<S: PageSource>(node: &Node<S>, platform: &impl Platform, number: u32) -> Option<Threads> {
    let thread = ThreadId(number);
    let (wait, object) = match node.ipc_ref().wait_view(thread) {
        WaitView::Nothing => (Wait::Nothing, 0),
        WaitView::Receive(port) => (Wait::Receive, port.number()),
        WaitView::ReceiveSet(set) => (Wait::ReceiveSet, u64::from(set)),
        WaitView::Answer(port) => (Wait::Answer, port.number()),
        WaitView::Send(port) => (Wait::Send, port.number()),
        WaitView::Outside => (Wait::Name, 0),
        WaitView::Over => (Wait::Over, 0),
    };
    let reply_port = node.ipc_ref().reply_port(thread);
    Some(Threads {
        number: u64::from(number),
        wait: wait.into(),
        object,
        reply_port: reply_port.map_or(0, norma_ipc::PortId::number),
        ..platform.thread(number)?
    })
}

fn port_row<S: PageSource>(node: &Node<S>, place: u32) -> Option<Ports> {
    let view = node.ipc_ref().port_view(place)?;
    let session = match view.sink {
        Sink::Queue => None,
        Sink::Remote(token) => node.session_of(token),
    };
    let (holder, holder_space, holder_name) = match view.holder {
        HolderView::Space(space, name) => {
            let space = u64::from(space.place());
            (Holder::Space, space, u64::from(name.raw()))
        }
        HolderView::Transit => (Holder::Transit, 0, 0),
        HolderView::Queued(port) => (Holder::Queued, port.number(), 0),
        HolderView::Thread => (Holder::Thread, 0, 0),
        HolderView::Elsewhere => (Holder::Elsewhere, 0, 0),
    };
    Some(Ports {
        name: text(node.name_of_port(view.id).unwrap_or_default()),
        peer: session.map(|place| peer(node, place)).unwrap_or_default(),
        port: view.id.number(),
        flags: port_flags(&view),
        session: session.map_or(0, |place| u64::from(place) + 1),
        holder: holder.into(),
        holder_space,
        holder_name,
        queued: u64::from(view.queued),
        under_way: u64::from(view.under_way),
        limit: u64::from(view.limit),
        sends: u64::from(view.sends),
        pins: u64::from(view.pins),
        send_onces: u64::from(view.send_onces),
        received: u64::from(view.received),
        made: u64::from(view.made),
        set: view.set.map_or(0, |place| u64::from(place) + 1),
        identity: view.identity,
        moves: u64::from(view.moves),
        slot: node.slot_of_port(view.id).map_or(0, u64::from),
    })
}

fn port_flags(view: &PortView) -> u64 {
    let flag = |is: bool, bit| if is { bit } else { 0 };
    flag(view.dead, port::DEAD)
        | flag(view.has_receivers, port::RECEIVERS)
        | flag(view.has_senders_waiting, port::SENDERS)
}

fn name<S: PageSource>(
    node: &Node<S>,
    platform: &impl Platform,
    space: u32,
    place: u32,
) -> Option<Names> {
    let view = node.ipc_ref().name_view(space, place)?;
    let mut flags = 0;
    for (is, bit) in [
        (view.receive, right::RECEIVE),
        (view.sends > 0, right::SEND),
        (view.send_once, right::SEND_ONCE),
    ] {
        flags |= if is { bit } else { 0 };
    }
    let mut row = Names {
        task: platform.task(view.space),
        space: u64::from(space),
        name: u64::from(view.name.raw()),
        sends: u64::from(view.sends),
        ..Names::default()
    };
    match view.target {
        TargetView::Port(port) => row.port = port.number(),
        TargetView::Dead(port) => {
            row.port = port.number();
            flags |= right::DEAD;
        }
        TargetView::Set(set) => {
            row.set = u64::from(set) + 1;
            flags |= right::SET;
        }
        TargetView::Remote(token) => {
            row.session = node
                .session_of(token)
                .map_or(0, |place| u64::from(place) + 1);
        }
    }
    row.flags = flags;
    Some(row)
}

fn peer<S: PageSource>(node: &Node<S>, place: u32) -> Text {
    let name = node.session_peer(place);
    name.map(|name| text(name.as_str())).unwrap_or_default()
}

fn session<S: PageSource>(node: &Node<S>, now: Instant, place: u32) -> Option<Sessions> {
    let view = node.session_view(now, place)?;
    let state = match view.state {
        SessionState::Connecting => Stage::Connecting,
        SessionState::Offered => Stage::Offered,
        SessionState::Established => Stage::Established,
    };
    Some(Sessions {
        peer: text(view.peer_name.as_str()),
        reserved: Text::new(),
        session: u64::from(place),
        state: state.into(),
        address: view.peer.0,
        round_trip: view.round_trip.as_nanos() as u64,
        silence: view.silence.as_nanos() as u64,
        next_sent: u64::from(view.next_sent),
        next_received: u64::from(view.next_received),
        repeated: view.repeated,
        loss: u64::from(view.loss),
        under_way: u64::from(view.under_way),
        window: u64::from(view.window),
        credit: u64::from(view.credit),
        credit_given: u64::from(view.credit_given),
        exports: u64::from(view.exports),
        imports: u64::from(view.imports),
        outgoing: u64::from(view.outgoing),
        incoming: u64::from(view.incoming),
        superseded: u64::from(view.superseded),
    })
}

fn export<S: PageSource>(node: &Node<S>, session: u32, place: u32) -> Option<Exports> {
    let view = node.export_view(session, place)?;
    let kind = if view.once {
        right::SEND_ONCE
    } else {
        right::SEND
    };
    let pinned = if view.pinned { right::PINNED } else { 0 };
    Some(Exports {
        peer: peer(node, session),
        session: u64::from(session),
        index: u64::from(view.index),
        port: view.port.map_or(0, norma_ipc::PortId::number),
        rights: u64::from(view.rights),
        flags: kind | pinned,
        ..Exports::default()
    })
}

fn import<S: PageSource>(node: &Node<S>, session: u32, place: u32) -> Option<Imports> {
    let view = node.import_view(session, place)?;
    Some(Imports {
        peer: peer(node, session),
        session: u64::from(session),
        index: u64::from(view.index),
        port: view.port.number(),
        rights: u64::from(view.rights),
        unsettled: u64::from(view.unsettled),
        ..Imports::default()
    })
}
