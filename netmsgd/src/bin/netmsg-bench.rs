//! Benchmark programs for a daemon: a server, and a client that prints what its calls cost.
//!
//! They are ordinary programs on the client library, as anybody would write them. The client
//! prints one line of JSON; times are in nanoseconds, a megabyte is a million bytes.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use norma_client::{Memory, Message, Node, ReceiveRight, SendRight};
use norma_ipc::limits::MAX_MEMORY;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// More than that travels out of line, as in the benchmarks of the kernel: a page.
const INLINE: usize = 4096;

/// The identifier of a message that is not answered.
const ONE_WAY: u32 = 1;

/// A server and a client that measure what messages cost by way of netmsgd
#[derive(Debug, Parser)]
#[command(name = "netmsg-bench", version)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Answer every request with an empty message; print `ready NAME`, and end with the daemon
    Server(Common),
    /// Send requests and print one line of JSON: n, p50_ns, p99_ns, p999_ns, min_ns, mb_per_s
    Client(ClientArguments),
}

#[derive(Debug, Args)]
struct Common {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The service's name in the cluster
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Look so many microseconds for an answer before sleeping
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    spin: u64,
}

impl Common {
    fn connect(&self) -> anyhow::Result<Node> {
        let node = Node::connect(&self.socket)?;
        node.set_spin(Duration::from_micros(self.spin));
        Ok(node)
    }
}

#[derive(Debug, Args)]
struct ClientArguments {
    #[command(flatten)]
    common: Common,
    /// Bytes of a request; up to 4,096 travel inline, more out of line
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// Requests in all
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Threads that send at the same time
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Requests before the first that counts, per thread
    #[arg(long, default_value_t = 100)]
    warmup: usize,
    /// Do not wait for answers but for the last: times are those of sending
    #[arg(long)]
    oneway: bool,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().role {
        Role::Server(common) => serve(&common),
        Role::Client(arguments) => measure(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netmsg-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

fn serve(common: &Common) -> anyhow::Result<()> {
    let node = common.connect()?;
    let port = ReceiveRight::new(&node)?;
    port.set_queue_limit(64)?;
    let right = port.make_send()?;
    right
        .check_in(&common.name)
        .with_context(|| format!("cannot check `{}` in", common.name))?;
    say(&format!("ready {}", common.name))?;
    let mut message = port.receive()?;
    loop {
        // What came is gone: the answer is an empty message.
        let mut answer = Message::new();
        if let Some(right) = message.take_reply() {
            answer.set_reply(right);
            message = port.reply_and_receive(answer)?;
        } else {
            message = port.receive()?;
        }
    }
}

/// What the requests of one thread are made of.
struct Load {
    service: SendRight,
    data: Vec<u8>,
    memory: Vec<u8>,
    oneway: bool,
}

impl Load {
    /// One request; how long it took. The memory goes into the message and comes back.
    fn request(&mut self, oneway: bool) -> anyhow::Result<Duration> {
        let mut message = Message::with_data(&self.data)?;
        if !self.memory.is_empty() {
            message.replace_memory(Memory::from_vec(std::mem::take(&mut self.memory)))?;
        }
        let begun = Instant::now();
        if oneway {
            message.set_id(ONE_WAY);
            self.memory = self.service.send_keeping(message)?.into_vec()?;
        } else {
            let (answer, memory) = self.service.call_keeping(message)?;
            if !answer.data().is_empty() {
                bail!("the service does not answer as `netmsg-bench server` does");
            }
            self.memory = memory.into_vec()?;
        }
        Ok(begun.elapsed())
    }
}

fn measure(arguments: &ClientArguments) -> anyhow::Result<()> {
    if arguments.bytes > MAX_MEMORY {
        bail!("a message has at most {MAX_MEMORY} bytes of memory");
    }
    let node = arguments.common.connect()?;
    let name = &arguments.common.name;
    let service = node
        .wait_for(name, Duration::from_secs(60))
        .with_context(|| format!("no service `{name}`"))?;
    let threads = arguments.threads.max(1);
    let each = arguments.count.div_ceil(threads);
    let (inline, memory) = match arguments.bytes {
        bytes @ 0..=INLINE => (bytes, 0),
        bytes => (0, bytes),
    };
    // The last to arrive here begins, and so do all.
    let barrier = Barrier::new(threads + 1);
    let (mut times, elapsed) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let mut running = Vec::new();
        for _ in 0..threads {
            let mut load = Load {
                service: service.copy()?,
                data: vec![0x5a; inline],
                memory: vec![0x5a; memory],
                oneway: arguments.oneway,
            };
            let barrier = &barrier;
            running.push(scope.spawn(move || -> anyhow::Result<Vec<u64>> {
                let warm = (0..arguments.warmup).try_for_each(|_| load.request(false).map(drop));
                let mut times = Vec::with_capacity(each);
                barrier.wait();
                warm?;
                for _ in 0..each {
                    times.push(load.request(load.oneway)?.as_nanos() as u64);
                }
                if load.oneway {
                    // It is answered when all before it were received.
                    load.request(false)?;
                }
                Ok(times)
            }));
        }
        barrier.wait();
        let begun = Instant::now();
        let mut times = Vec::new();
        for thread in running {
            match thread.join() {
                Ok(measured) => times.extend(measured?),
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok((times, begun.elapsed()))
    })?;
    times.sort_unstable();
    say(&report(&times, arguments.bytes, elapsed).to_string())
}

fn report(times: &[u64], bytes: usize, elapsed: Duration) -> serde_json::Value {
    let at = |share: f64| {
        let place = (times.len() as f64 * share).ceil() as usize;
        times.get(place.saturating_sub(1)).copied().unwrap_or(0)
    };
    let megabytes = (times.len() * bytes) as f64 / 1e6;
    serde_json::json!({
        "n": times.len(),
        "p50_ns": at(0.5),
        "p99_ns": at(0.99),
        "p999_ns": at(0.999),
        "min_ns": at(0.0),
        "mb_per_s": megabytes / elapsed.as_secs_f64(),
        "per_s": times.len() as f64 / elapsed.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times: Vec<u64> = (1..=1000).collect();
        let report = report(&times, 1000, Duration::from_secs(1));
        assert_eq!(report["n"], 1000);
        assert_eq!(
            (&report["min_ns"], &report["p50_ns"]),
            (&1.into(), &500.into())
        );
        assert_eq!(
            (&report["p99_ns"], &report["p999_ns"]),
            (&990.into(), &999.into())
        );
        assert_eq!(report["mb_per_s"], 1.0);
    }
}
