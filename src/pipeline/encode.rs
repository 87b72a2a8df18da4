//! Events as bytes: lines of JSON for people's tools, frames for machines.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use super::processes::Process;
use crate::agent::record::{Malformed, Record, Target};

/// An event that a sink takes: the record, and what is known of its process.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// What the kernel wrote.
    pub record: &'a Record<'a>,
    /// The process.
    pub process: &'a Process,
}

/// A way to write events down.
pub trait Encode {
    /// Appends one event to `bytes`.
    fn encode(&self, event: &Event, bytes: &mut Vec<u8>);
}

/// One JSON object a line. A path that is no UTF-8 stands as `path_escaped`,
/// with `\x` in front of each such byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Encode for Json {
    fn encode(&self, event: &Event, bytes: &mut Vec<u8>) {
        let record = event.record;
        let (path, program, address) = match record.target {
            Target::Path(path) => (Some(path), None, None),
            Target::Program(path) => (None, Some(path), None),
            Target::Address(address) => (None, None, Some(address)),
        };
        let (path, path_escaped) = text_or_bytes(path);
        let (program, program_escaped) = text_or_bytes(program);
        let line = Line {
            time_ns: record.time_ns(),
            pid: record.pid(),
            tid: record.tid(),
            uid: record.uid(),
            command: &event.process.command,
            cgroup_id: record.cgroup(),
            cgroup: event.process.cgroup.as_deref(),
            path,
            path_escaped,
            program,
            program_escaped,
            address,
            cut: record.target_cut(),
            unreadable: record.target_unreadable(),
        };
        // Writing to memory does not fail, and no key is anything but text.
        let _ = serde_json::to_writer(&mut *bytes, &line);
        bytes.push(b'\n');
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time_ns: u64,
    pid: u32,
    tid: u32,
    uid: u32,
    command: &'a str,
    cgroup_id: u64,
    cgroup: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_escaped: Option<Escaped<'a>>,
    /// What was run, in the same two ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program_escaped: Option<Escaped<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "is_false")]
    cut: bool,
    #[serde(skip_serializing_if = "is_false")]
    unreadable: bool,
}

/// Bytes that are text as such, any others to be escaped.
fn text_or_bytes(bytes: Option<&[u8]>) -> (Option<&str>, Option<Escaped<'_>>) {
    match bytes.map(std::str::from_utf8) {
        Some(Ok(text)) => (Some(text), None),
        Some(Err(_)) => (None, bytes.map(Escaped)),
        None => (None, None),
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

struct Escaped<'a>(&'a [u8]);

impl Serialize for Escaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.escape_ascii())
    }
}

/// The length in two bytes, little-endian, then the record without its padding.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binary;

impl Encode for Binary {
    fn encode(&self, event: &Event, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 2]);
        event.record.write_to(bytes);
        let length = (bytes.len() - start - 2) as u16;
        bytes[start..start + 2].copy_from_slice(&length.to_le_bytes());
    }
}

impl Binary {
    /// The records of some frames; one that is cut off ends them as malformed.
    pub fn decode(mut frames: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Malformed>> {
        std::iter::from_fn(move || {
            let rest = std::mem::take(&mut frames);
            if rest.is_empty() {
                return None;
            }
            let frame = rest.split_first_chunk().and_then(|(length, rest)| {
                rest.split_at_checked(u16::from_le_bytes(*length).into())
            });
            let Some((record, rest)) = frame else {
                return Some(Err(Malformed::Short));
            };
            frames = rest;
            Some(Record::decode(record))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;
    use crate::pipeline::{Cgroups, Hashing, Processes};

    fn encoded(encode: impl Encode, samples: &[Sample]) -> Vec<u8> {
        let mut processes = Processes::new(9, Cgroups::new(None), Hashing::random());
        let mut out = Vec::new();
        for sample in samples {
            let bytes = sample.bytes();
            let record = Record::decode(&bytes).unwrap();
            let process = processes.of(&record);
            let record = &record;
            encode.encode(&Event { record, process }, &mut out);
        }
        out
    }

    #[test]
    fn a_line_holds_all_of_the_event() {
        let line = encoded(Json, &[Sample::default()]);
        assert_eq!(line.last(), Some(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "time_ns": 1_000_000, "pid": 100, "tid": 100, "uid": 1000, "command": "bench",
                "cgroup_id": 42, "cgroup": null, "path": "/etc/hosts"
            })
        );
    }

    #[test]
    fn odd_paths_and_addresses_are_still_json() {
        let path = |path: &[u8]| Sample {
            path: path.to_vec(),
            ..Sample::default()
        };
        let connect = Sample {
            kind: Sample::CONNECT,
            path: vec![2, 0, 0, 53, 127, 0, 0, 1],
            ..Sample::default()
        };
        let exec = Sample {
            kind: Sample::EXEC,
            path: b"/bin/true".to_vec(),
            ..Sample::default()
        };
        let lines = encoded(
            Json,
            &[
                path(b"/a\"\n\x01"),
                path(b"/\xff\x80\\"),
                path(b""),
                connect,
                exec,
            ],
        );
        let values: Vec<serde_json::Value> = lines
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(values[0]["path"], "/a\"\n\u{1}");
        assert_eq!(values[1]["path_escaped"], r"/\xff\x80\\");
        assert_eq!(values[2]["path"], "");
        assert_eq!(values[3]["address"], "127.0.0.1:53");
        assert_eq!(values[4]["program"], "/bin/true");
    }

    #[test]
    fn frames_come_back_as_the_records_they_were() {
        let file = Sample {
            file: Some((5, 6)),
            path: b"/with/a/file".to_vec(),
            ..Sample::default()
        };
        let frames = encoded(Binary, &[Sample::default(), file]);
        let records: Vec<_> = Binary::decode(&frames).map(Result::unwrap).collect();
        assert_eq!(records[0].target, Target::Path(b"/etc/hosts"));
        assert_eq!(records[0].pid(), 100);
        assert_eq!(records[1].target, Target::Path(b"/with/a/file"));
        assert!(records[1].file.is_some());

        let cut = &frames[..frames.len() - 1];
        let flaws: Vec<_> = Binary::decode(cut).filter_map(Result::err).collect();
        assert_eq!(flaws, [Malformed::Short]);
    }
}
