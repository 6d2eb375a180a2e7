//! Frames that nobody of the network should send, at nodes that talk.

use crate::Test;
use crate::lab::{Lab, deadline};
use crate::network::{SEED, client, passes, server};
use anyhow::{Context as _, Result, ensure};
use norma_faults::Random;
use norma_wire::layout;
use pcap_file::pcapng::{Block, PcapNgReader};
use qemu_runner::link::Capture;
use qemu_runner::qemu::Outcome;
use qemu_runner::run::Plan;
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("network::random_frames", random_frames),
        Test::new("network::forged_frames", forged_frames),
    ]
}

/// Random frames at nodes that talk: short, long, with every type and field wrong.
fn random_frames(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &["n=3000"])?).switched();
    let host = plan.host_station();
    lab.run(plan, |run| {
        run.expect("a", "a tenth is done", deadline())?;
        let end = run.switch(0).context("no switch")?.node_end(host)?;
        let socket = UnixDatagram::from(end);
        let mut random = Random::new(SEED);
        for _ in 0..20_000 {
            socket.send(&random_frame(&mut random))?;
        }
        passes(run, "a", "calls")?;
        ensure!(run.outcome("b").is_none(), "node b has ended");
        Ok(())
    })
}

/// Frames that were really sent, forged: they are believed (W-64 is no seal), so what comes of the
/// calls is anybody's guess. But no node breaks, and whoever starts anew is served.
fn forged_frames(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("frames.pcapng");
    let capture = Capture::create(&file)?;
    let other = lab
        .node("c", "nettest")?
        .argument("test=who")
        .argument("peer=b");
    let nodes = vec![server(lab)?, client(lab, "calls", &["n=3000"])?, other];
    let plan = Plan::together(nodes).switched();
    let host = plan.host_station();
    lab.captured(plan, Some(&capture), |run| {
        passes(run, "c", "who")?;
        run.expect("a", "a tenth is done", deadline())?;
        let end = run.switch(0).context("no switch")?.node_end(host)?;
        let socket = UnixDatagram::from(end);
        let mut random = Random::new(SEED);
        capture.finish()?;
        let sent = frames(&file)?;
        for _ in 0..5_000 {
            let which = random.below(sent.len() as u64) as usize;
            socket.send(&forged(&mut random, &sent[which]))?;
        }
        ensure!(run.outcome("b").is_none(), "node b has ended");
        if run.outcome("a").is_none() {
            run.kill("a");
        }
        let ended = run.wait_exit("a", deadline())?;
        let alive = matches!(ended, Outcome::Signal(9) | Outcome::Pass | Outcome::Fail);
        ensure!(alive, "node a {ended}");
        run.restart("c")?;
        passes(run, "c", "who")
    })
}

/// The frames of sessions in a capture.
fn frames(file: &Path) -> Result<Vec<Vec<u8>>> {
    let mut reader = PcapNgReader::new(File::open(file)?)?;
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block?
            && packet.data.len() >= layout::BODY_AT
        {
            frames.push(packet.data.into_owned());
        }
    }
    ensure!(!frames.is_empty(), "no session was captured");
    Ok(frames)
}

/// A frame with a few bytes of its session changed, and its check written anew. It comes from the
/// host, so that the switch sends the nodes' own where they belong.
fn forged(random: &mut Random, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[6..12].copy_from_slice(&[0x52, 0x54, 0, 0xee, 0, 1]);
    for _ in 0..1 + random.below(3) {
        let end = frame.len().min(layout::BODY_AT + 64);
        let at = layout::SESSION_AT + random.below((end - layout::SESSION_AT) as u64) as usize;
        frame[at] = random.next_u64() as u8;
    }
    norma_net::seal(&mut frame);
    frame
}

/// A frame that is wrong in one of many ways: the more of it is right, the further it gets.
fn random_frame(random: &mut Random) -> Vec<u8> {
    let length = match random.below(4) {
        0 => random.below(64),
        1 => random.below(300),
        2 => random.below(2000),
        _ => random.below(65_549),
    };
    let mut frame: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = frame.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    // To node a, to node b, or to all.
    let last = random.below(3) as u8;
    put(
        0,
        &if last == 2 {
            [0xff; 6]
        } else {
            [0x52, 0x54, 0, 0, 0, last + 1]
        },
    );
    put(6, &[0x52, 0x54, 0, 0xee, 0, 1]);
    if random.chance(0.9) {
        put(12, &[0x81, 0x46]);
    }
    if random.chance(0.8) {
        // FLIP: version 1, one of its types.
        put(14, &[1, 1 + random.below(6) as u8, 0, 0]);
    }
    if random.chance(0.5) {
        // A length that fits the frame, at the start of a datagram of the same length.
        let payload = (length.saturating_sub(54) as u32).to_le_bytes();
        put(42, &payload);
        put(46, &[0; 4]);
        put(50, &payload);
    }
    if random.chance(0.5) {
        // A session header: version 1, one of its kinds.
        put(54, &[1, 1 + random.below(8) as u8]);
    }
    frame
}
