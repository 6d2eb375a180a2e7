//! Which clusters run on this host, and how to reach their nodes.
//!
//! Owns: one file per running cluster, in a folder that only this user can open, with its nodes
//! and the sockets that each of them offers; and finding a node by its name in all of these.
//! Leaves to others: what is said over a socket, and which sockets QEMU is told to make (`run`).
//!
//! The runner holds a lock on its file for as long as it runs, however it ends; so a file without
//! a lock is that of a runner that was killed, and whoever comes by removes it. (A process number
//! would not do: it may belong to somebody else by now.)

use crate::limits::{NODES, SOCKET_PATH};
use crate::similar;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The version of the files. Those of other versions are not read.
const VERSION: u32 = 1;

/// Bytes of a file that are read: that of the largest cluster has a fraction of it.
const FILE_BYTES: u64 = NODES as u64 * 64 * 1024;

/// The socket on which QEMU's own debugger stub listens.
pub const GDB: &str = "gdb";

/// The socket on which QEMU's monitor (QMP) listens: for one at a time.
pub const MONITOR: &str = "monitor";

/// The socket at which the runner gives ports of a network on which the node is (`link::door`).
pub const NETWORK: &str = "network";

/// A running cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    version: u32,
    /// The process number of its runner.
    pub process: u32,
    /// What was typed to start it: `up`, `demo`, …
    pub command: String,
    /// Its name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// A node of a running cluster. (It may have ended: then nobody answers at its sockets.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The image that it runs, with its symbols.
    pub image: PathBuf,
    /// The unix sockets at which it can be reached, by what they are for: [`GDB`], [`MONITOR`],
    /// [`NETWORK`].
    pub sockets: BTreeMap<String, PathBuf>,
}

impl Node {
    /// The socket for this use.
    ///
    /// # Errors
    /// The node has none.
    pub fn socket(&self, wanted: &str) -> anyhow::Result<&Path> {
        self.sockets
            .get(wanted)
            .map(PathBuf::as_path)
            .ok_or_else(|| anyhow::anyhow!("node {} runs without a socket for {wanted}", self.name))
    }
}

/// Why there is no such node.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None has this name.
    #[error("{}", unknown(wanted, running))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// All that run, as they can be asked for.
        running: Vec<String>,
    },
    /// More than one has it.
    #[error(
        "{} running nodes are called `{wanted}`: say which one by {}",
        choices.len(), choices.join(" or ")
    )]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Each of them, as it can be asked for.
        choices: Vec<String>,
    },
    /// The folder cannot be read.
    #[error("cannot see which clusters are running: {0}")]
    Folder(#[from] Error),
}

fn unknown(wanted: &str, running: &[String]) -> String {
    if running.is_empty() {
        return format!(
            "no cluster is running, so there is no node `{wanted}`: \
             start one in another terminal by `cargo norma up CLUSTER.toml`"
        );
    }
    // It may have been asked for with or without its cluster.
    let names = (running.iter()).flat_map(|name| [&**name, name.rsplit('/').next().unwrap_or("")]);
    let hint = similar::hint(wanted, names);
    let running = running.join(", ");
    format!("no running node is called `{wanted}`; there are: {running}{hint}")
}

/// A cluster that can be found as long as this value lives.
#[derive(Debug)]
pub struct Registration {
    /// Locked.
    file: File,
    path: PathBuf,
    folder: PathBuf,
}

impl Registration {
    /// Makes a place for a cluster that is about to be started, which nobody finds yet.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or is somebody else's.
    pub fn new() -> Result<Self> {
        Self::new_in(&folder()?)
    }

    fn new_in(parent: &Path) -> Result<Self> {
        // One process may run several clusters, one after the other or at once.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("{}-{number}", std::process::id()));
            let path = folder.with_extension("json");
            let mut options = OpenOptions::new();
            let made = options.write(true).create_new(true).mode(0o600).open(&path);
            let file = match made {
                Ok(file) => file,
                // Left behind by a process that had our number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            file.lock()?;
            // Somebody who tidies up may have come before the lock.
            if file.metadata()?.nlink() == 0 {
                continue;
            }
            DirBuilder::new().mode(0o700).create(&folder)?;
            return Ok(Self { file, path, folder });
        }
    }

    /// Where a socket of node number `node` is to be made.
    ///
    /// # Errors
    /// The path is longer than a socket's can be.
    pub fn socket(&self, node: usize, purpose: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{node}.{purpose}"));
        if path.as_os_str().len() > SOCKET_PATH {
            return Err(Error::other(format!(
                "{} is too long for a socket's path, which has at most {SOCKET_PATH} bytes: \
                 set XDG_RUNTIME_DIR to a folder with a shorter name",
                path.display()
            )));
        }
        Ok(path)
    }

    /// Lets the cluster be found.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn publish(&self, command: &str, name: &str, nodes: &[Node]) -> Result<()> {
        let cluster = Cluster {
            version: VERSION,
            process: std::process::id(),
            command: command.into(),
            name: name.into(),
            nodes: nodes.to_vec(),
        };
        (&self.file).write_all(&serde_json::to_vec(&cluster)?)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // What cannot be removed is found to be stale.
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// All running clusters of this user. Removes what is left of others.
///
/// # Errors
/// The folder cannot be read, or is somebody else's.
pub fn clusters() -> Result<Vec<Cluster>> {
    clusters_in(&folder()?)
}

fn clusters_in(folder: &Path) -> Result<Vec<Cluster>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            all.extend(read(&path));
        }
    }
    all.sort_by_key(|cluster| cluster.process);
    Ok(all)
}

/// The cluster in a file, if its runner still runs and has published it.
fn read(path: &Path) -> Option<Cluster> {
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(_)) => return None,
        Ok(()) => {
            let _ = std::fs::remove_dir_all(path.with_extension(""));
            let _ = std::fs::remove_file(path);
            return None;
        }
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut text).ok()?;
    let cluster: Cluster = serde_json::from_slice(&text).ok()?;
    (cluster.version == VERSION).then_some(cluster)
}

/// The running node of this name: `NODE`, or `CLUSTER/NODE`, or `PROCESS/NODE` with the process
/// number of its runner.
///
/// # Errors
/// There is none, or more than one: the error says how to choose.
pub fn find(wanted: &str) -> std::result::Result<(Cluster, Node), FindError> {
    choose(clusters()?, wanted)
}

fn choose(clusters: Vec<Cluster>, wanted: &str) -> std::result::Result<(Cluster, Node), FindError> {
    let (cluster, node) = match wanted.split_once('/') {
        Some((cluster, node)) => (Some(cluster), node),
        None => (None, wanted),
    };
    let of = |running: &Cluster| match cluster {
        Some(text) => text == running.name || text.parse() == Ok(running.process),
        None => true,
    };
    let all = clusters.iter().flat_map(|cluster| {
        let nodes = cluster.nodes.iter();
        nodes.map(move |node| (cluster, node))
    });
    let mut matching = all.clone().filter(|(c, n)| n.name == node && of(c));
    let Some((first, found)) = matching.next() else {
        return Err(FindError::Unknown {
            wanted: wanted.into(),
            running: all.map(|(c, n)| format!("{}/{}", c.name, n.name)).collect(),
        });
    };
    let others: Vec<_> = matching.collect();
    if others.is_empty() {
        return Ok((first.clone(), found.clone()));
    }
    let choices = std::iter::once((first, found)).chain(others);
    let choices = choices.map(|(c, n)| {
        let Cluster {
            process,
            name,
            command,
            ..
        } = c;
        format!(
            "`{process}/{}` (cluster {name}, cargo norma {command})",
            n.name
        )
    });
    Err(FindError::Ambiguous {
        wanted: wanted.into(),
        choices: choices.collect(),
    })
}

/// The folder of this user, which nobody else can write to.
fn folder() -> Result<PathBuf> {
    let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder).join("norma"),
        _ => {
            let user = rustix::process::geteuid().as_raw();
            std::env::temp_dir().join(format!("norma-{user}"))
        }
    };
    private(&folder)?;
    Ok(folder)
}

/// Makes a folder for this user alone, or sees that it is one.
fn private(folder: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => return other.map_err(|error| said(folder, &error)),
    }
    let found = std::fs::symlink_metadata(folder).map_err(|error| said(folder, &error))?;
    let user = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != user || found.mode() & 0o022 != 0 {
        return Err(Error::other(format!(
            "{} is not a folder that only this user can write to: remove it, or set \
             XDG_RUNTIME_DIR to a folder of your own",
            folder.display()
        )));
    }
    Ok(())
}

fn said(folder: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node {
            name: name.into(),
            image: "/image".into(),
            sockets: BTreeMap::from([(GDB.into(), "/socket".into())]),
        }
    }

    fn cluster(process: u32, name: &str, nodes: &[&str]) -> Cluster {
        Cluster {
            version: VERSION,
            process,
            command: "up".into(),
            name: name.into(),
            nodes: nodes.iter().map(|name| node(name)).collect(),
        }
    }

    #[test]
    fn a_cluster_is_found_while_its_registration_lives() {
        let folder = tempfile::tempdir().unwrap();
        let one = Registration::new_in(folder.path()).unwrap();
        let other = Registration::new_in(folder.path()).unwrap();
        assert_eq!(clusters_in(folder.path()).unwrap(), [], "not published yet");
        std::fs::write(one.socket(0, GDB).unwrap(), "").unwrap();
        one.publish("up", "zoo", &[node("a")]).unwrap();
        other.publish("demo", "demo", &[node("b")]).unwrap();
        let mut names: Vec<_> = clusters_in(folder.path()).unwrap();
        names.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(names[1].nodes[0].socket(GDB).unwrap(), Path::new("/socket"));
        assert!(names[1].nodes[0].socket(MONITOR).is_err());
        let names: Vec<_> = names.into_iter().map(|c| (c.command, c.name)).collect();
        let expected = [("demo", "demo"), ("up", "zoo")];
        assert_eq!(names, expected.map(|(c, n)| (c.to_owned(), n.to_owned())));
        drop((one, other));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_runner_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let text = serde_json::to_vec(&cluster(1, "zoo", &["a"])).unwrap();
        // Process 1 runs, but it is no runner: it holds no lock.
        std::fs::write(folder.path().join("1-0.json"), text).unwrap();
        std::fs::create_dir(folder.path().join("1-0")).unwrap();
        std::fs::write(folder.path().join("1-0/0.gdb"), "").unwrap();
        assert_eq!(clusters_in(folder.path()).unwrap(), []);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_two_nodes_have_must_be_made_unique() {
        let all = || vec![cluster(7, "zoo", &["a", "b"]), cluster(9, "demo", &["a"])];
        let found = |wanted: &str| choose(all(), wanted).map(|(c, n)| (c.process, n.name));
        assert_eq!(found("b").unwrap(), (7, "b".into()));
        assert_eq!(found("demo/a").unwrap(), (9, "a".into()));
        assert_eq!(found("7/a").unwrap(), (7, "a".into()));
        let text = found("a").unwrap_err().to_string();
        assert!(text.contains("2 running nodes are called `a`"), "{text}");
        assert!(text.contains("`7/a` (cluster zoo"), "{text}");
        assert!(text.contains("`9/a` (cluster demo"), "{text}");
        let text = found("zoo/c").unwrap_err().to_string();
        assert!(text.contains("there are: zoo/a, zoo/b, demo/a"), "{text}");
        let text = choose(Vec::new(), "a").unwrap_err().to_string();
        assert!(text.contains("cargo norma up"), "{text}");
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("norma");
        private(&folder).unwrap();
        private(&folder).unwrap();
        let all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&folder, all).unwrap();
        let text = private(&folder).unwrap_err().to_string();
        assert!(text.contains("XDG_RUNTIME_DIR"), "{text}");
        let link = parent.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(private(&link).is_err());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(SOCKET_PATH));
        std::fs::create_dir(&long).unwrap();
        let text = Registration::new_in(&long).unwrap().socket(0, GDB);
        assert!(text.unwrap_err().to_string().contains("too long"));
    }
}
