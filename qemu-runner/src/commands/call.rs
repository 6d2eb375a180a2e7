//! `cargo norma call`: asks a service of a cluster, from this host.
//!
//! Goes by a netmsgd that runs here; `cargo norma up` starts one where the cluster file has
//! `[netmsgd]`. The answer's data are printed as text where they are text, else as hexadecimal
//! digits, eight bytes a group.

use super::data;
use crate::context::Context;
use crate::daemon::default_socket;
use crate::status::{Ended, Status};
use anyhow::Context as _;
use norma_client::{Failure, Memory, Message, Node};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `cargo norma call`.
#[derive(Clone, Debug, clap::Args)]
pub struct CallArgs {
    /// The service's name
    pub name: String,
    /// Inline data of the request, as text; `-` reads them from standard input
    #[arg(value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Inline data as hexadecimal digits
    #[arg(long, value_name = "DIGITS", conflicts_with = "text", value_parser = hexadecimal)]
    pub hex: Option<Bytes>,
    /// A file that goes with the request as out-of-line memory
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The request's identifier, whose meaning is the service's own
    #[arg(long, default_value_t = 0)]
    pub id: u32,
    /// Write the answer's out-of-line memory to a file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How long to wait for the name, and then for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
    /// The daemon's socket [default: that of `cargo norma up`]
    #[arg(long, value_name = "PATH", env = "NORMA_SOCKET")]
    pub socket: Option<PathBuf>,
}

/// Bytes of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

fn hexadecimal(text: &str) -> Result<Bytes, String> {
    let wrong = || "expected pairs of hexadecimal digits".to_owned();
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<_>>().map(Bytes).ok_or_else(wrong)
}

/// Calls a service and prints its answer.
///
/// # Errors
/// There is no daemon, no such service, or no answer.
pub fn run(context: &Context, args: &CallArgs) -> anyhow::Result<Status> {
    let request = request(args)?;
    let socket = args
        .socket
        .clone()
        .unwrap_or_else(|| default_socket(context));
    let node = Node::connect(&socket).map_err(|error| {
        let hint = "start one by `cargo norma up` with `[netmsgd]` in the cluster file, or give \
                    `--socket`";
        Ended::new(Status::Failed, format!("{error}; {hint}"))
    })?;
    let timeout = Duration::from_secs(args.timeout);
    let late = |failure: Failure, what: String| match failure {
        Failure::TimedOut | Failure::NameUnknown => Ended::new(Status::TimedOut, what),
        other => Ended::new(Status::Failed, format!("{what}: {other}")),
    };
    let service = node
        .wait_for(&args.name, timeout)
        .map_err(|failure| late(failure, format!("nobody has checked `{}` in", args.name)))?;
    let answer = service
        .call_timeout(request, timeout)
        .map_err(|error| late(error.failure, format!("`{}` gave no answer", args.name)))?;
    show(context, args, answer)
}

fn request(args: &CallArgs) -> anyhow::Result<Message> {
    let usage = |error: Failure| Ended::usage(format!("the request cannot be made: {error}"));
    let data = match (&args.hex, args.text.as_str()) {
        (Some(Bytes(bytes)), _) => bytes.clone(),
        (None, "-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
        (None, text) => text.as_bytes().to_vec(),
    };
    let mut request = Message::with_data(&data).map_err(usage)?;
    request.set_id(args.id);
    if let Some(path) = &args.file {
        let cannot = |error| Ended::usage(format!("cannot read {}: {error}", path.display()));
        let mut file = File::open(path).map_err(cannot)?;
        let memory = Memory::from_file(&mut file).map_err(cannot)?;
        request.replace_memory(memory).map_err(usage)?;
    }
    Ok(request)
}

fn show(context: &Context, args: &CallArgs, mut answer: Message) -> anyhow::Result<Status> {
    if answer.id() != args.id {
        context.ui.progress(&format!("identifier {}", answer.id()));
    }
    if !answer.data().is_empty() {
        data(&readable(answer.data()));
    }
    if !answer.rights().is_empty() {
        let count = answer.rights().len();
        context.ui.progress(&format!("rights: {count}, given up"));
    }
    let memory = answer.take_memory();
    if memory.is_empty() {
        return Ok(Status::Pass);
    }
    match &args.output {
        Some(path) => {
            let mut file = memory.into_file()?;
            let mut output =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            std::io::copy(&mut file, &mut output)?;
        }
        None => {
            let bytes = memory.len();
            let text = format!("memory: {bytes} bytes; `--output FILE` keeps them");
            context.ui.progress(&text);
        }
    }
    Ok(Status::Pass)
}

/// Text as it is, unless a terminal would take a part of it for commands; all else in digits.
fn readable(bytes: &[u8]) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(harmless) => text.to_owned(),
        _ => {
            let group = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes
                .chunks(8)
                .map(group)
                .collect::<Vec<String>>()
                .join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes() {
        assert_eq!(hexadecimal("00 fF10"), Ok(Bytes(vec![0, 255, 16])));
        assert_eq!(hexadecimal(""), Ok(Bytes(Vec::new())));
        for wrong in ["0", "0g", "é0"] {
            assert!(hexadecimal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_in_digits() {
        assert_eq!(readable("größer\n".as_bytes()), "größer\n");
        assert_eq!(readable(b"\x1b[2J"), "1b5b324a");
        assert_eq!(
            readable(&[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            "0102030405060708 09"
        );
    }
}
