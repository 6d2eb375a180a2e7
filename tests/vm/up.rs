//! A cluster that `cargo norma up` has started, and the commands that look into it.

use crate::lab::Lab;
use crate::runner::program;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A node: its name, its image, its arguments in TOML.
type Node<'a> = (&'a str, &'a str, &'a str);

/// A cluster that is up, of which only this test knows.
pub struct Up {
    runner: Child,
    // Where running clusters are listed.
    folder: tempfile::TempDir,
}

impl Up {
    /// Starts a cluster, and waits until each of these lines was on a console.
    pub fn new(lab: &Lab, nodes: &[Node<'_>], lines: &[&str]) -> Result<Self> {
        let mut text = String::new();
        for (name, image, arguments) in nodes {
            let image = lab.image(image)?;
            text += &node((name, &image.display().to_string(), arguments));
        }
        Self::start(lab, &text, None, lines)
    }

    /// The same of nodes that note their events for this file.
    pub fn traced(lab: &Lab, nodes: &[Node<'_>], file: &Path, lines: &[&str]) -> Result<Self> {
        // By their names: the command itself builds them for it.
        let text: String = nodes.iter().copied().map(node).collect();
        Self::start(lab, &text, Some(file), lines)
    }

    fn start(lab: &Lab, nodes: &str, trace: Option<&Path>, lines: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("cluster.toml");
        std::fs::write(&file, format!("name = \"test\"\n{nodes}"))?;
        let mut command = Command::new(program()?);
        command.current_dir(lab.root()).arg("up").arg(&file);
        if let Some(trace) = trace {
            command.arg("--trace").arg(trace);
        }
        let runner = command
            .args(["--timeout", "120"])
            .env("XDG_RUNTIME_DIR", folder.path())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut up = Self { runner, folder };
        let stderr = up.runner.stderr.take().context("no output")?;
        let mut said = BufReader::new(stderr).lines();
        for wanted in lines {
            loop {
                let line = said
                    .next()
                    .with_context(|| format!("nothing says `{wanted}`"))??;
                if line.contains(wanted) {
                    break;
                }
            }
        }
        // Consoles that nobody reads must not hold a node up.
        std::thread::spawn(move || said.for_each(drop));
        Ok(up)
    }

    /// Ends it as Ctrl-C does.
    pub fn interrupt(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.runner), Signal::INT)?;
        let status = self.runner.wait()?;
        ensure!(status.code() == Some(130), "the runner ended with {status}");
        Ok(())
    }

    pub fn norma(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = Command::new(program()?)
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .output()?;
        Ok((
            output.status.code(),
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        ))
    }

    /// What a command prints.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        match self.norma(arguments)? {
            (Some(0), stdout, _) => Ok(stdout),
            (code, _, stderr) => bail!("{arguments:?} ended with {code:?}: {stderr}"),
        }
    }

    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        Ok(serde_json::from_str(&self.text(&with_json)?)?)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // The runner's nodes end with it, as `runner::its_own_death_ends_every_node` makes sure.
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

/// The lines of a cluster file for a node.
fn node((name, image, arguments): Node<'_>) -> String {
    format!(
        "[[node]]\nname = \"{name}\"\nimage = \"{image}\"\narguments = {arguments}\n\
         service = true\n"
    )
}
