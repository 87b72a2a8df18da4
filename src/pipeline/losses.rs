//! What the kernel could not put into the ring, told from the marks on what it could.

use crate::agent::Operation;
use crate::agent::record::Record;

/// Every record says how many its CPU's hook had lost before it, modulo 2^32.
/// This adds the marks up, in any order they come.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    /// The highest mark of each hook and CPU, beyond 2^32.
    marks: Vec<u64>,
}

impl Losses {
    /// Takes the mark of one record.
    pub fn note(&mut self, record: &Record) {
        let place = usize::from(record.cpu()) * Operation::ALL.len() + usize::from(record.kind());
        if place >= self.marks.len() {
            self.marks.resize(place + 1, 0);
        }
        let mark = &mut self.marks[place];
        let step = record.lost().wrapping_sub(*mark as u32);
        // A step back is a record that others have overtaken.
        if step < 1 << 31 {
            *mark += u64::from(step);
        }
    }

    /// How many records are known to be lost. More may be, after the last
    /// record that came; the kernel's own counters have those.
    pub fn total(&self) -> u64 {
        self.marks.iter().sum()
    }

    /// Takes over what another reader of the same ring has seen.
    pub fn merge(&mut self, other: &Self) {
        self.marks
            .resize(self.marks.len().max(other.marks.len()), 0);
        for (mine, theirs) in self.marks.iter_mut().zip(&other.marks) {
            *mine = (*mine).max(*theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sample::Sample;

    fn note(losses: &mut Losses, cpu: u16, kind: u8, lost: u32) {
        let path = match kind {
            Sample::CONNECT => vec![2, 0, 0, 53, 127, 0, 0, 1],
            _ => b"/x".to_vec(),
        };
        let sample = Sample {
            cpu,
            kind,
            lost,
            path,
            ..Sample::default()
        };
        losses.note(&Record::decode(&sample.bytes()).unwrap());
    }

    #[test]
    fn each_hook_of_each_cpu_counts_for_itself() {
        let mut losses = Losses::default();
        note(&mut losses, 0, Sample::OPEN, 5);
        note(&mut losses, 3, Sample::OPEN, 7);
        note(&mut losses, 0, Sample::CONNECT, 1);
        note(&mut losses, 0, Sample::OPEN, 6);
        assert_eq!(losses.total(), 6 + 7 + 1);
        note(&mut losses, 0, Sample::EXEC, 5);
        note(&mut losses, 1, Sample::OPEN, 100);
        assert_eq!(losses.total(), 6 + 7 + 1 + 5 + 100);
    }

    #[test]
    fn order_and_overflow_do_not_matter() {
        let mut losses = Losses::default();
        for lost in [2, 10, 4, u32::MAX / 2, u32::MAX - 1, 3, u32::MAX - 2] {
            note(&mut losses, 0, Sample::OPEN, lost);
        }
        assert_eq!(losses.total(), (1 << 32) + 3);
    }

    #[test]
    fn two_readers_of_one_ring_do_not_count_twice() {
        let (mut one, mut two) = (Losses::default(), Losses::default());
        note(&mut one, 0, Sample::OPEN, 5);
        note(&mut two, 0, Sample::OPEN, 7);
        note(&mut two, 1, Sample::OPEN, 2);
        one.merge(&two);
        assert_eq!(one.total(), 9);
    }
}
