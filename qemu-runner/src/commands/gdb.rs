//! `cargo norma gdb`: gdb on a running node, with symbols and commands of norma's own.
//!
//! Owns: how gdb is started. Leaves to others: which nodes run (`running`), and what the commands
//! say (`contrib/gdb/norma.py`).
//!
//! The runner becomes gdb: so Ctrl-C is gdb's, as is the exit code.

use crate::context::Context;
use crate::running;
use crate::setup::{self, GDB};
use crate::status::{Ended, Status};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Arguments of `cargo norma gdb`.
#[derive(Clone, Debug, clap::Args)]
pub struct GdbArgs {
    /// A node that runs: its name, or CLUSTER/NODE, or PROCESS/NODE with its runner's number
    #[arg(value_name = "NODE")]
    pub node: String,
    /// Do this and end, instead of asking what to do; may be given several times
    #[arg(long = "command", short, value_name = "COMMAND")]
    pub commands: Vec<String>,
}

/// Becomes gdb.
///
/// # Errors
/// There is no such node, or no gdb.
pub fn run(context: &Context, args: &GdbArgs) -> anyhow::Result<Status> {
    let (_, node) = running::find(&args.node).map_err(|error| Ended::usage(error.to_string()))?;
    let socket = node.socket(running::GDB)?;
    setup::ensure_gdb(context)?;
    let script = context.workspace.root.join("contrib/gdb/norma.py");
    let mut command = Command::new(GDB);
    command.args(arguments(&node.image, &script, socket, &args.commands));
    Err(Ended::new(
        Status::Failed,
        format!("cannot run `{GDB}`: {}", command.exec()),
    )
    .into())
}

fn arguments(image: &Path, script: &Path, socket: &Path, commands: &[String]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["-q", "-nx"].map(OsString::from).into();
    let mut execute = |words: &[&std::ffi::OsStr]| {
        arguments.push("-ex".into());
        arguments.push(words.join(" ".as_ref()));
    };
    execute(&["set pagination off".as_ref()]);
    // The script comes first: what it needs of the image it reads before the node stands still.
    execute(&["source".as_ref(), script.as_ref()]);
    execute(&["target remote".as_ref(), socket.as_ref()]);
    for command in commands {
        execute(&[command.as_ref()]);
    }
    if !commands.is_empty() {
        // Else the node would stand still for ever.
        execute(&["detach".as_ref()]);
        arguments.push("-batch".into());
    }
    arguments.push(image.into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_done_and_the_node_goes_on() {
        let given = |commands: &[&str]| {
            let commands: Vec<_> = commands.iter().map(|c| (*c).to_owned()).collect();
            let paths = ["/image", "/script", "/socket"].map(Path::new);
            arguments(paths[0], paths[1], paths[2], &commands)
                .into_iter()
                .map(|word| word.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        let words = given(&[]);
        assert!(!words.contains(&"-batch".into()) && !words.contains(&"detach".into()));
        assert_eq!(words.last().unwrap(), "/image");
        let words = given(&["norma threads", "norma ports"]).join("|");
        let end =
            "-ex|target remote /socket|-ex|norma threads|-ex|norma ports|-ex|detach|-batch|/image";
        assert!(words.ends_with(end), "{words}");
    }
}
