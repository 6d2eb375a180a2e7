//! Captures of what passes between nodes, for Wireshark and whatever else reads pcapng.
//!
//! Owns: the file, its interfaces and the words on frames that met a fault. One interface per
//! link, that is, per pair of nodes on a network, for faults strike there; a broadcast is on each
//! link that it crosses. A frame has the time at which it leaves the switch for its receiver; one
//! that never arrives, the time at which it came.
//! Leaves to others: which frames there are (`switch`), and what is in them
//! (`contrib/wireshark`).
//! Source: draft-ietf-opsawg-pcapng.

use norma_faults::{Passage, Station};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time stamps are in nanoseconds: ten to the power of minus this.
const RESOLUTION: u8 = 9;

/// A file that all switches of this process write to.
#[derive(Clone)]
pub struct Capture(Arc<Mutex<Output>>);

impl core::fmt::Debug for Capture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Capture")
    }
}

struct Output {
    path: PathBuf,
    file: PcapNgWriter<BufWriter<File>>,
    interfaces: u32,
    runs: u64,
    /// The clock's time, and what it was called then: a host that sets its clock meanwhile
    /// changes no order.
    started: (Instant, Duration),
    failed: Option<std::io::Error>,
}

impl Capture {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(
                concat!("cargo norma ", env!("CARGO_PKG_VERSION")),
            ))],
            ..Default::default()
        };
        let file = PcapNgWriter::with_section_header(file, section).map_err(io)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self(Arc::new(Mutex::new(Output {
            path: path.into(),
            file,
            interfaces: 0,
            runs: 0,
            started: (Instant::now(), since.unwrap_or_default()),
            failed: None,
        }))))
    }

    /// The number of a new run of nodes, from 1.
    #[must_use]
    pub fn new_run(&self) -> u64 {
        let mut output = self.output();
        output.runs += 1;
        output.runs
    }

    /// What one switch writes: `network` is its name, `stations` the names of all nodes of the
    /// run, the host's behind them.
    #[must_use]
    pub fn tap(&self, run: u64, network: &str, stations: Vec<String>) -> Tap {
        Tap {
            capture: self.clone(),
            // The first run is the only one, mostly.
            prefix: match run {
                1 => format!("{network} "),
                _ => format!("run {run}: {network} "),
            },
            stations,
            links: HashMap::new(),
        }
    }

    /// Writes out what is still in memory, and says what went wrong so far.
    ///
    /// # Errors
    /// Something could not be written; frames after it are missing.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut output = self.output();
        match output.failed.take() {
            Some(error) => Err(error),
            None => output.file.get_mut().flush(),
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.output().path.clone()
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn write<'a>(&mut self, block: impl PcapNgBlock<'a>) {
        if self.failed.is_none()
            && let Err(error) = self.file.write_pcapng_block(block)
        {
            self.failed = Some(io(error));
        }
    }
}

/// The interfaces of one switch.
#[derive(Debug)]
pub struct Tap {
    capture: Capture,
    prefix: String,
    stations: Vec<String>,
    links: HashMap<(Station, Station), u32>,
}

impl Tap {
    /// Notes a frame that went from one node to another, and what befell it.
    pub fn frame(&mut self, from: Station, to: Station, frame: &[u8], fate: Option<&str>) {
        let link = (from.min(to), from.max(to));
        let capture = self.capture.clone();
        let mut output = capture.output();
        let interface_id = match self.links.get(&link) {
            Some(id) => *id,
            None => {
                let id = output.interfaces;
                output.interfaces += 1;
                output.write(self.interface(link));
                self.links.insert(link, id);
                id
            }
        };
        let (instant, since) = output.started;
        let comment = fate.map(|text| EnhancedPacketOption::Comment(Cow::Borrowed(text)));
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: since + instant.elapsed(),
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options: comment.into_iter().collect(),
        };
        output.write(block);
    }

    fn interface(&self, (one, other): (Station, Station)) -> InterfaceDescriptionBlock<'static> {
        let name = |station: Station| {
            let name = self.stations.get(usize::from(station));
            name.map_or("?", String::as_str)
        };
        let name = format!("{}{}-{}", self.prefix, name(one), name(other));
        InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(name.into()),
                InterfaceDescriptionOption::IfTsResol(RESOLUTION),
            ],
        }
    }
}

/// What befell a frame in one of its passages, in words; `copies` is how many there are.
#[must_use]
pub fn fate(passage: &Passage, copy: usize, copies: usize) -> Option<String> {
    let mut words = Vec::new();
    if copies > 1 {
        words.push(format!("duplicated: copy {} of {copies}", copy + 1));
    }
    if !passage.delay.is_zero() {
        words.push(format!("delayed by {:?}", passage.delay));
    }
    if let Some(corruption) = passage.corruption {
        let (byte, mask) = (corruption.byte, corruption.mask);
        words.push(format!("corrupted: byte {byte}, bits {mask:#04x}"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn io(error: PcapError) -> std::io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => std::io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_faults::Corruption;
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn frames_and_fates_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pcapng");
        let capture = Capture::create(&path).unwrap();
        let stations: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut tap = capture.tap(capture.new_run(), "net", stations.clone());
        tap.frame(0, 1, &[1; 60], None);
        tap.frame(1, 0, &[2; 61], Some("lost"));
        tap.frame(2, 0, &[3; 62], None);
        let mut other = capture.tap(capture.new_run(), "net", stations);
        other.frame(0, 1, &[4; 63], None);
        capture.finish().unwrap();

        let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
        let (mut names, mut frames) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(interface) => {
                    names.extend(interface.options.iter().filter_map(|option| match option {
                        InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                        _ => None,
                    }));
                }
                Block::EnhancedPacket(packet) => {
                    let comment = packet.options.iter().find_map(|option| match option {
                        EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                        _ => None,
                    });
                    frames.push((packet.interface_id, packet.data.to_vec(), comment));
                }
                _ => {}
            }
        }
        assert_eq!(names, ["net a-b", "net a-c", "run 2: net a-b"]);
        let lost = Some("lost".to_owned());
        let expected = [
            (0, vec![1; 60], None),
            (0, vec![2; 61], lost),
            (1, vec![3; 62], None),
            (2, vec![4; 63], None),
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn a_fate_says_all_that_happened() {
        assert_eq!(fate(&Passage::default(), 0, 1), None);
        let passage = Passage {
            delay: Duration::from_millis(3),
            corruption: Some(Corruption {
                byte: 17,
                mask: 0x20,
            }),
        };
        assert_eq!(
            fate(&passage, 1, 2).unwrap(),
            "duplicated: copy 2 of 2; delayed by 3ms; corrupted: byte 17, bits 0x20"
        );
    }
}
