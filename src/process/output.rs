//! What a process printed: its begin and its end, however much it was.

use std::io::{PipeReader, Read};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of the begin, and of the end, is kept.
const KEPT: usize = 16 << 10;

/// What a process has printed so far. A thread of its own reads it, so that a talkative
/// one never waits for us.
pub struct KeptOutput {
    shared: Arc<Mutex<Printed>>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Printed {
    begin: Vec<u8>,
    end: Vec<u8>,
    bytes: u64,
    lines: u64,
}

impl KeptOutput {
    pub(super) fn of(mut pipe: PipeReader) -> std::io::Result<Self> {
        let shared = Arc::new(Mutex::new(Printed::default()));
        let printed = shared.clone();
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || {
                let mut chunk = vec![0; 64 << 10];
                while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                    lock(&printed).take(&chunk[..read]);
                }
            })?;
        Ok(Self { shared, thread })
    }

    /// Its text, with a gap in the middle where it was long.
    pub fn text(&self) -> String {
        let printed = lock(&self.shared);
        let begin = String::from_utf8_lossy(&printed.begin);
        let end = String::from_utf8_lossy(&printed.end);
        match printed.bytes as usize - printed.begin.len() - printed.end.len() {
            0 => format!("{begin}{end}"),
            left_out => format!("{begin}\n[… {left_out} bytes …]\n{end}"),
        }
    }

    /// Its last words: the last line with anything in it.
    pub fn last_line(&self) -> Option<String> {
        let text = self.text();
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(line.trim().chars().take(200).collect())
    }

    /// How many lines it printed.
    pub fn lines(&self) -> u64 {
        lock(&self.shared).lines
    }

    /// How many bytes it printed.
    pub fn bytes(&self) -> u64 {
        lock(&self.shared).bytes
    }

    /// Waits until all of it is read, at most so long: somebody whom it started may hold
    /// the other end open.
    pub fn settle(&self, longest: Duration) {
        let begin = Instant::now();
        while !self.thread.is_finished() && begin.elapsed() < longest {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Printed {
    fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.lines += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let room = (KEPT - self.begin.len()).min(chunk.len());
        let (begin, rest) = chunk.split_at(room);
        self.begin.extend_from_slice(begin);
        self.end.extend_from_slice(rest);
        if self.end.len() > 2 * KEPT {
            let old = self.end.len() - KEPT;
            self.end.drain(..old);
        }
    }
}

fn lock(shared: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    shared
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn begin_and_end_are_kept_of_any_amount() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let output = KeptOutput::of(reader).unwrap();
        writeln!(writer, "first").unwrap();
        for _ in 0..100_000 {
            writeln!(writer, "and so on and so on").unwrap();
        }
        writeln!(writer, "last\n").unwrap();
        drop(writer);
        output.settle(Duration::from_secs(5));
        let text = output.text();
        assert!(text.starts_with("first\n") && text.len() < 4 * KEPT);
        assert!(text.contains(" bytes …]"), "the gap is shown");
        assert_eq!(output.last_line().unwrap(), "last");
        assert_eq!(output.lines(), 100_003);
    }

    #[test]
    fn a_short_text_is_kept_whole() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let output = KeptOutput::of(reader).unwrap();
        write!(writer, "a\nb").unwrap();
        drop(writer);
        output.settle(Duration::from_secs(5));
        assert_eq!(output.text(), "a\nb");
        assert_eq!(output.bytes(), 3);
    }
}
