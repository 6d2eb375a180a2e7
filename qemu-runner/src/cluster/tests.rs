//! Tests of the cluster file: what is good, and each mistake with its line.

use super::*;

const TWO: &str = "
[[node]]
name = 'a'
image = 'demo'

[[node]]
name = 'b'
image = 'demo'
";

fn parse(text: &str) -> Result<Cluster, ClusterError> {
    Cluster::parse(text, Path::new("some/zoo.toml"))
}

#[test]
fn without_networks_all_nodes_are_on_one() {
    let cluster = parse(TWO).unwrap();
    assert_eq!(cluster.networks, [("net".to_owned(), vec![0, 1])]);
    assert_eq!(cluster.awaited(), ["a", "b"]);
    assert!(!cluster.has_faults());
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let text = "
name = 'zoo'
seed = 7
[[node]]
name = 'a'
image = 'demo'
machine = 'q35'
memory = 32
arguments = ['role=client', 'n=3']
mtu = 1500
qemu = ['-s']
[[node]]
name = 'b'
image = 'demo'
service = true
[[network]]
name = 'left'
nodes = ['b', 'a']
[[fault]]
do = 'drop'
probability = 0.2
from = 'a'
";
    let cluster = parse(text).unwrap();
    assert_eq!(cluster.networks, [("left".to_owned(), vec![1, 0])]);
    assert_eq!(cluster.awaited(), ["a"]);
    assert_eq!((cluster.seed(), cluster.has_faults()), (Some(7), true));
}

#[test]
fn this_host_can_be_a_node() {
    let (program, socket) = (Path::new("/netmsgd"), Path::new("/default"));
    assert!(parse(TWO).unwrap().daemon(program, socket).is_none());
    let cluster = parse(&format!("name = 'zoo'\n{TWO}[netmsgd]\n")).unwrap();
    let daemon = cluster.daemon(program, socket).unwrap();
    assert_eq!((&*daemon.node, &*daemon.cluster), ("linux", "zoo"));
    assert_eq!(daemon.socket, socket);
    assert_eq!(daemon.networks, [true]);
    let cluster = parse(&format!("{TWO}[netmsgd]\nname = 'host-a'\nsocket = 's'\n")).unwrap();
    let daemon = cluster.daemon(program, socket).unwrap();
    assert_eq!(daemon.node, "host-a");
    assert_eq!(daemon.socket, Path::new("some/s"));
}

/// Each mistake, the line that must be named, and what must be said.
const MISTAKES: [(&str, usize, &str); 28] = [
    (
        "name = ''\n[[node]]\nname = 'a'\nimage = 'demo'",
        1,
        "the cluster's name \"\" is not one word",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'demo'\nmtu = 20",
        4,
        "`mtu` is 20; expected 576 to 65535 (bytes): nodes send",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'demo'\n[[network]]\nname = 'n'\nmtu = 100\nnodes = ['a']",
        6,
        "`mtu` is 100; expected 576",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'demo'\n[netmsgd]\nname = 'a'",
        5,
        "there is a node `a` already",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'demo'\n[netmsgd]\nname = 'a b'",
        5,
        "`a b` is no name for a node",
    ),
    ("", 1, "expected at least one [[node]]"),
    ("name = ", 1, ""),
    ("\nnoode = 3", 2, "did you mean `node`?"),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmemory = -1",
        4,
        "`memory` is -1; expected 8 to 65536 (MiB)",
    ),
    ("[[node]]\nname = 'a'", 1, "missing field `image`"),
    ("[[node]]\nname = 3\nimage = 'x'", 2, "expected a string"),
    (
        "[[node]]\nname = ''\nimage = 'x'",
        2,
        "expected 1 to 16 letters",
    ),
    (
        "[[node]]\nname = 'a b'\nimage = 'x'",
        2,
        "expected 1 to 16 letters",
    ),
    (
        "[[node]]\nname = 'host'\nimage = 'x'",
        2,
        "expected another name",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmemory = 4",
        4,
        "expected 8 to 65536 (MiB)",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmemory = 'much'",
        4,
        "expected a whole number",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmachine = 'pc'",
        4,
        "expected `microvm` or `q35`",
    ),
    (
        "[[node]]\nname = 'a'\nimage = './none'",
        3,
        "expected the name of an image",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmodule = 'none'",
        4,
        "expected a path",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\narguments = ['ok', 'not ok']",
        4,
        "expected `key=value`",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\nmtu = 70000",
        4,
        "`mtu` is 70000; expected 576 to 65535 (bytes): a virtio device cannot",
    ),
    (
        "[[node]]\nname = 'a'\nimage = 'x'\n[[node]]\nname = 'a'\nimage = 'x'",
        5,
        "a node `a` already",
    ),
    (
        "TWO[[network]]\nname = 'n'\nnodes = ['a', 'z']",
        11,
        "there is no node `z`; expected one of: a, b",
    ),
    (
        "TWO[[network]]\nname = 'n'\nnodes = ['a', 'a']",
        11,
        "expected each node once",
    ),
    (
        "TWO[[network]]\nname = 'n'\nnodes = []",
        11,
        "expected the names of nodes",
    ),
    (
        "TWO[[network]]\nname = 'n'\nnodes = ['a']\n[[network]]\nname = 'n'\nnodes = ['b']",
        13,
        "a network `n` already",
    ),
    (
        "TWO[[fault]]\ndo = 'drop'\nfrom = 'z'",
        9,
        "which is not in the file; expected one of: a, b",
    ),
    ("TWO[[fault]]\ndo = 'melt'", 10, "expected one of `drop`"),
];

#[test]
fn each_mistake_is_named_with_its_line() {
    for (text, line, expected) in MISTAKES {
        let text = text.replace("TWO", TWO);
        let error = parse(&text).unwrap_err();
        assert_eq!(error.line, Some(line), "{text}\ngave {error}");
        assert!(error.text.contains(expected), "{text}\ngave {error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("some/zoo.toml:{line}: ")),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Cluster::read(Path::new("/nowhere/zoo.toml")).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("/nowhere/zoo.toml: cannot"), "{error}");
}

#[test]
fn an_image_that_there_is_not_is_named_with_its_line() {
    let error = parse(TWO)
        .unwrap()
        .check_images(&Images::default())
        .unwrap_err();
    assert_eq!(error.line, Some(4));
    assert!(error.text.contains("there is no image `demo`"), "{error}");
    let given = parse("[[node]]\nname = 'a'\nimage = '/dev/null'");
    // A path is not a name; whether there is such a file is checked at once.
    assert_eq!(given.unwrap_err().line, Some(3));
}

#[test]
fn the_examples_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for file in ["two.toml", "three.toml", "routers.toml"] {
        let cluster = Cluster::read(&folder.join(file)).unwrap();
        assert_eq!(cluster.awaited(), ["a"], "{file}");
    }
}
