//! The command line.

use crate::link::LinkKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

const ABOUT_LINKS: &str = "\
Links (--link, up to four; the node is on a network with each):
  dgram:FD                      an inherited datagram socket, a frame each, as QEMU's
                                `-netdev dgram,local.type=fd` speaks it
  stream:FD                     an inherited stream socket, as QEMU's `-netdev stream`
  udp:ADDRESS[,peer=ADDRESS]... Ethernet frames in UDP datagrams; without peers, whoever
                                sends is one
  packet:INTERFACE              a raw packet socket (needs CAP_NET_RAW)
  tap:INTERFACE                 a TAP device (needs CAP_NET_ADMIN, unless it is the user's)
Behind each: ,mtu=BYTES and ,mac=XX:XX:XX:XX:XX:XX and, where others can listen, ,untrusted

Exit codes: 0 ended by a signal or with standard input (--until-eof), 1 something failed,
2 the command line makes no sense.";

/// A node of norma as a Linux process: ports and messages for programs, across machines
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "netmsgd", version, after_help = ABOUT_LINKS)]
pub struct Arguments {
    /// The unix socket at which programs find it
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// The node's name, up to 16 bytes
    #[arg(long, value_name = "NAME", default_value = "linux")]
    pub node: String,
    /// The cluster's name: nodes of another cluster are ignored
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster: String,
    /// A link to other nodes; without any, the programs of this host have only each other
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<LinkArgument>,
    /// Who may connect, as a file's mode, in octal
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = octal)]
    pub mode: u32,
    /// Memory for messages from the network that nobody has taken, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub memory: usize,
    /// Look so many microseconds for something to do before sleeping
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pub spin: u64,
    /// End when standard input does: for whoever starts it as a part of something
    #[arg(long)]
    pub until_eof: bool,
}

fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "expected a mode such as 600 or 666".into())
}

/// A link as the command line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkArgument {
    /// What it is made of.
    pub kind: LinkKind,
    /// The largest payload.
    pub mtu: Option<u16>,
    /// The station address.
    pub mac: Option<[u8; 6]>,
    /// Whether all who can hear it are trusted: packets that need security cross no other link.
    pub trusted: bool,
}

impl FromStr for LinkArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text
            .split_once(':')
            .ok_or("expected dgram:, stream:, udp:, packet: or tap:, and what it is")?;
        let mut parts = rest.split(',');
        let subject = parts.next().unwrap_or_default();
        let (mut mtu, mut mac, mut peers) = (None, None, Vec::new());
        let mut trusted = true;
        for part in parts {
            match part.split_once('=') {
                Some(("mtu", value)) => {
                    let bytes = value.parse().ok();
                    mtu = Some(bytes.ok_or_else(|| format!("`{value}` is no MTU"))?);
                }
                Some(("mac", value)) => {
                    let station = station(value);
                    mac = Some(station.ok_or_else(|| format!("`{value}` is no station address"))?);
                }
                Some(("peer", value)) => peers.push(address(value)?),
                None if part == "untrusted" => trusted = false,
                _ => return Err(format!("`{part}`: expected mtu=, mac=, peer= or untrusted")),
            }
        }
        let descriptor = || {
            let number = subject.parse().ok();
            number.ok_or_else(|| format!("`{subject}` is no number of a descriptor"))
        };
        let kind = match word {
            "dgram" => LinkKind::Datagram(descriptor()?),
            "stream" => LinkKind::Stream(descriptor()?),
            "udp" => LinkKind::Udp(address(subject)?, std::mem::take(&mut peers)),
            "packet" => LinkKind::Packet(subject.into()),
            "tap" => LinkKind::Tap(subject.into()),
            _ => return Err(format!("`{word}` is no kind of link")),
        };
        if !peers.is_empty() {
            return Err("only a UDP link has peers".into());
        }
        Ok(Self {
            kind,
            mtu,
            mac,
            trusted,
        })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| format!("`{text}` is no address with a port"))
}

fn station(text: &str) -> Option<[u8; 6]> {
    let mut parts = text.split(':');
    let mut station = [0; 6];
    for byte in &mut station {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    (parts.next().is_none() && station[0] & 1 == 0).then_some(station)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn links_are_read() {
        let link: LinkArgument = "udp:127.0.0.1:0,peer=127.0.0.1:9,mtu=1400".parse().unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let peer = "127.0.0.1:9".parse().unwrap();
        assert_eq!(link.kind, LinkKind::Udp(local, vec![peer]));
        assert_eq!((link.mtu, link.mac), (Some(1400), None));
        let link: LinkArgument = "dgram:3,mac=52:54:00:00:00:07".parse().unwrap();
        assert!(link.trusted && !"dgram:3,untrusted".parse::<LinkArgument>().unwrap().trusted);
        assert_eq!(link.kind, LinkKind::Datagram(3));
        assert_eq!(link.mac, Some([0x52, 0x54, 0, 0, 0, 7]));
        for wrong in [
            "",
            "dgram",
            "dgram:x",
            "dgram:3,peer=127.0.0.1:1",
            "udp:nowhere",
            "tap:t,mac=01:00:00:00:00:01",
            "carrier:pigeon",
            "tap:t,mtu=70000",
        ] {
            assert!(wrong.parse::<LinkArgument>().is_err(), "{wrong}");
        }
    }
}
