//! Where encoded events go.

use std::io::Write;

use super::encode::{Encode, Event};

/// Something that takes the events that matter.
pub trait Output {
    /// Takes one event.
    fn put(&mut self, event: &Event);

    /// Hands on what has been held back. Called when the ring is empty.
    fn flush(&mut self);
}

/// Encoded events, handed to a file, pipe or socket many at a time.
#[derive(Debug)]
pub struct Writer<E, W> {
    encode: E,
    to: W,
    held: Vec<u8>,
    hold: usize,
    failed: u64,
}

impl<E: Encode, W: Write> Writer<E, W> {
    /// Holds back up to about `hold` bytes; 0 hands on every event by itself.
    pub fn new(encode: E, to: W, hold: usize) -> Self {
        Self {
            encode,
            to,
            // Room for the event that goes over the limit, too.
            held: Vec::with_capacity(hold + 1024),
            hold,
            failed: 0,
        }
    }

    /// How many writes failed; what they held is lost.
    pub fn failed(&self) -> u64 {
        self.failed
    }
}

impl<E: Encode, W: Write> Output for Writer<E, W> {
    fn put(&mut self, event: &Event) {
        self.encode.encode(event, &mut self.held);
        if self.held.len() >= self.hold {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.held.is_empty() && self.to.write_all(&self.held).is_err() {
            self.failed += 1;
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::record::Record;
    use crate::pipeline::sample::Sample;
    use crate::pipeline::{Cgroups, Hashing, Json, Processes};

    /// Counts the writes; fails from the third on.
    #[derive(Default)]
    struct Pipe {
        writes: usize,
    }

    impl Write for &mut Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.writes += 1;
            if self.writes > 2 {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn put_three(hold: usize) -> (usize, u64) {
        let mut pipe = Pipe::default();
        let mut writer = Writer::new(Json, &mut pipe, hold);
        let mut processes = Processes::new(9, Cgroups::new(None), Hashing::random());
        let bytes = Sample::default().bytes();
        let record = &Record::decode(&bytes).unwrap();
        for _ in 0..3 {
            let process = processes.of(record);
            writer.put(&Event { record, process });
        }
        Output::flush(&mut writer);
        let failed = writer.failed();
        (pipe.writes, failed)
    }

    #[test]
    fn events_are_held_back_and_failures_counted() {
        assert_eq!(put_three(1 << 16), (1, 0));
        assert_eq!(put_three(0), (3, 1));
    }
}
