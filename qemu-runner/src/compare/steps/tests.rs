//! Tests from marks, which are written as on a console, to the steps of a call.

use super::walk::Call;
use super::*;
use crate::trace::Ring;
use norma_trace::{Event, Kind};

/// Marks of a text in which the ticks of each are those since the one before.
fn read(text: &str) -> Vec<Mark> {
    let line = format!("@marks x {}", text.trim());
    let read = norma_peer::marks::of_console(&line);
    read.unwrap().unwrap().1
}

/// The only call in these marks.
fn only(text: &str) -> Option<Call> {
    let calls = calls(&read(text), 0);
    assert!(calls.len() < 2, "{text}");
    calls.into_iter().next()
}

/// What of a call is in a step.
fn part(call: &Call, step: Step) -> u64 {
    let place = STEPS.iter().position(|known| *known == step);
    call.parts[place.unwrap()]
}

/// Steps of an empty call of that task, in which everything takes `scale` microseconds: forty of
/// them, on machines that count nanoseconds.
pub(in crate::compare) fn made_up(task: &Task, scale: u64) -> Steps {
    let us = scale * 1000;
    let one =
        format!(" {us}n {us}i {us}f {us}r {us}l {us}e {us}p {us}l {us}e {us}r {us}l {us}e {us}F");
    let marks = read(&format!("{us}e {us}F{}", one.repeat(40)));
    let half = || Half::of(&marks, 0, 1.0).unwrap();
    Steps::new(task, &half(), &half())
}

#[test]
fn a_kernels_thread_has_a_program_and_the_kernel_around_it() {
    // It sends, halts, is woken, and sends again.
    let call = only("1000F 5n 70i 2f 3p 4s 6F").unwrap();
    assert_eq!(call.total, 90);
    let steps = [Step::Interrupt, Step::Inward, Step::Program, Step::Outward];
    assert_eq!(steps.map(|step| part(&call, step)), [2, 3, 4, 6]);
    assert_eq!(call.parts.iter().sum::<u64>(), 15);
}

#[test]
fn a_relay_and_its_program_are_told_apart_in_both_modes() {
    let call = only("1000F 1l 1e 1n 50i 2f 3r 4l 5e 6l 7e 8p 9l 10e 11r 12l 13e 14F").unwrap();
    let expected = [
        (Step::Interrupt, 2),
        (Step::Inward, 3),
        (Step::RelayCalls, 4 + 6 + 8 + 12),
        (Step::Relay, 5 + 7 + 13),
        (Step::Calls, 9 + 11),
        (Step::Program, 10),
        (Step::Outward, 14),
    ];
    for (step, ticks) in expected {
        assert_eq!(part(&call, step), ticks, "{step:?}");
    }
    assert_eq!(call.total, 53 + (2..=14).sum::<u64>());
}

#[test]
fn another_interrupt_than_the_frames_is_no_part_of_a_call() {
    // The first says that a frame has gone, and the machine sleeps again.
    let call = only("1000F 5i 5n 60i 2f 3p 4s 6F").unwrap();
    assert_eq!(part(&call, Step::Interrupt), 2);
    // A frame that is found without one has none.
    let call = only("1000F 5i 5n 60f 3p 4s 6F").unwrap();
    assert_eq!(part(&call, Step::Interrupt), 0);
}

#[test]
fn what_is_no_call_like_the_others_is_left_out() {
    assert_eq!(only("1000F 5n 60F"), None, "no frame came");
    assert_eq!(only("1000F 5n 60f 5f 60F"), None, "two came");
    assert_eq!(only("1000F 5n 60f 5n 5i 5p 60F"), None, "somebody waited");
    assert_eq!(only("1000f 5p"), None, "it sent nothing");
}

#[test]
fn steps_and_flight_make_up_the_whole_and_long_calls_say_nothing() {
    let one = " 5n 70i 2f 3p 4s 6F";
    let long = " 5n 7000i 2f 3p 400s 6F";
    let marks = |text: &str| read(&format!("1000F{}{long}", text.repeat(30)));
    let calling = Half::of(&marks(one), 0, 2.0).unwrap();
    let serving = Half::of(&marks(" 5n 75i 1f 2p 3s 4F"), 0, 2.0).unwrap();
    assert_eq!(
        (calling.total, calling.own(), serving.own()),
        (0.18, 0.03, 0.02)
    );
    let beds =
        crate::compare::bed::beds(crate::compare::systems::system("norma").into_iter(), true);
    let steps = Steps::new(beds[0].tasks(Pass::Steps)[0], &calling, &serving);
    assert_eq!((steps.total, steps.flight, steps.calls), (0.18, 0.13, 31));
    assert_eq!(steps.of(Step::Inward), [0.006, 0.004]);
    assert_eq!(steps.of(Step::Relay), [0.0, 0.0]);
}

#[test]
fn what_marks_cost_is_in_no_step() {
    let marks = read("1000F 5n 70i 2f 13p 4s 16F");
    let call = &calls(&marks, 3)[0];
    let steps = [Step::Interrupt, Step::Inward, Step::Program, Step::Outward];
    assert_eq!(steps.map(|step| part(call, step)), [0, 10, 1, 13]);
    assert_eq!(call.total, 5 + 70 + 10 + 1 + 13);
}

#[test]
fn too_few_calls_are_an_error() {
    let error = Half::of(&read("1000F 5n 70i 2f 3p 4s 6F"), 0, 1.0).err();
    assert!(error.unwrap().to_string().contains("only 1 calls"));
    assert!(Half::of(&[], 0, 1.0).is_err());
}

#[test]
fn the_events_of_norma_are_marks() {
    let event = |ticks, thread, kind: Kind, a| Event {
        ticks,
        thread,
        kind: kind as u8,
        a,
        ..Event::default()
    };
    let mut names = vec![String::new(); 5];
    names[3] = "netmsgserver".into();
    names[4] = "bench".into();
    let ring = Ring {
        names,
        events: vec![
            event(10, 4, Kind::SystemCall, 1),
            event(11, 4, Kind::Call, 3),
            event(12, 3, Kind::SystemCallEnd, 0),
            event(13, 3, Kind::SystemCall, 9),
            event(14, 3, Kind::FrameOut, 116),
            event(15, 3, Kind::Idle, 0),
            // In the context of the thread that slept last.
            event(20, 3, Kind::Interrupt, 0x30),
            event(21, 3, Kind::FrameIn, 116),
            event(22, 3, Kind::Wake, 3),
            event(23, 3, Kind::Resume, 0),
            // A send that hands nothing over: the sender goes on.
            event(24, 3, Kind::Send, 0),
            event(25, 3, Kind::Switch, 4),
            event(26, 4, Kind::SystemCallEnd, 0),
        ],
        ..Ring::default()
    };
    let found: Vec<_> = norma::marks(&ring).iter().map(Mark::to_string).collect();
    let expected = "10p 10e 11s 11r 12l 13e 14F 15n 20i 21f 23r 24s 25p 26l";
    assert_eq!(found.join(" "), expected);
}
