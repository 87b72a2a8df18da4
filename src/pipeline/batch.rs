//! Records on their way to another thread.

use std::sync::mpsc::{Receiver, Sender, channel};

/// Copies of records, one behind the other in one piece of memory.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Copies one record in.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Batches that have done their duty and are used again, with the memory they
/// have grown to.
#[derive(Debug)]
pub struct Pool {
    back: Receiver<Batch>,
    door: Sender<Batch>,
}

impl Default for Pool {
    fn default() -> Self {
        let (door, back) = channel();
        Self { back, door }
    }
}

impl Pool {
    /// An empty batch: one that came back, or a new one.
    pub fn take(&self) -> Batch {
        let mut batch = self.back.try_recv().unwrap_or_default();
        batch.clear();
        batch
    }

    /// Where batches are given back, from any thread.
    pub fn door(&self) -> Sender<Batch> {
        self.door.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut batch = Batch::default();
        for record in [&b"one"[..], b"", b"three"] {
            batch.push(record);
        }
        assert_eq!(
            batch.iter().collect::<Vec<_>>(),
            [&b"one"[..], b"", b"three"]
        );
        assert_eq!(batch.len(), 3);
    }

    #[test]
    fn a_batch_that_came_back_is_empty_and_keeps_its_memory() {
        let pool = Pool::default();
        let mut batch = pool.take();
        batch.push(&[7; 1000]);
        pool.door().send(batch).unwrap();
        let again = pool.take();
        assert!(again.is_empty() && again.bytes.capacity() >= 1000);
        assert_eq!(pool.take().bytes.capacity(), 0);
    }
}
