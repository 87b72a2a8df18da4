//! Spans on their way out: a bounded queue, and a thread that hands them to whoever wants
//! them.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::host::Obstacle;
use crate::schema::span::HttpSpan;

/// What became of the spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Written.
    pub written: u64,
    /// Lost since the queue was full.
    pub queue_full: u64,
    /// Lost since writing failed (a full disk, a collector that is gone), or took too long
    /// at the end.
    pub unwritable: u64,
}

#[derive(Debug, Default)]
struct ExportCounts {
    written: AtomicU64,
    queue_full: AtomicU64,
    unwritable: AtomicU64,
    /// When the end began: from then on no spans come.
    end: OnceLock<Instant>,
}

/// The most spans that are handed over at once.
const TOGETHER: usize = 512;

/// Where spans go.
pub trait SpanSink: Send {
    /// Takes them, and gives how many of them; the others, or all where it fails, are lost.
    ///
    /// # Errors
    /// They cannot be written, or nobody takes them.
    fn take(&mut self, spans: &[HttpSpan]) -> io::Result<usize>;

    /// How long at the end it is still handed spans; none: until there are no more.
    fn patience_at_end(&self) -> Option<Duration> {
        None
    }
}

/// Lines of JSON, a span each.
#[derive(Debug)]
pub struct SpanLines<W: Write>(BufWriter<W>);

impl<W: Write> SpanLines<W> {
    /// Written to `to`.
    pub fn new(to: W) -> Self {
        Self(BufWriter::new(to))
    }
}

impl<W: Write + Send> SpanSink for SpanLines<W> {
    fn take(&mut self, spans: &[HttpSpan]) -> io::Result<usize> {
        for span in spans {
            serde_json::to_writer(&mut self.0, span)?;
            self.0.write_all(b"\n")?;
        }
        self.0.flush()?;
        Ok(spans.len())
    }
}

/// The writing end of the queue. It never waits.
pub struct Export {
    queue: Option<SyncSender<HttpSpan>>,
    counts: Arc<ExportCounts>,
    thread: Option<JoinHandle<()>>,
}

impl Export {
    /// Hands spans to `to`, holding back at most `capacity`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(to: impl SpanSink + 'static, capacity: usize) -> Result<Self, Obstacle> {
        let (queue, spans) = mpsc::sync_channel(capacity);
        let counts = Arc::new(ExportCounts::default());
        let inner = Arc::clone(&counts);
        let thread = std::thread::Builder::new()
            .name("span-export".into())
            .spawn(move || hand_over(&spans, to, &inner))
            .map_err(|error| Obstacle::new(format!("no thread starts: {error}"), "ulimit -u"))?;
        Ok(Self {
            queue: Some(queue),
            counts,
            thread: Some(thread),
        })
    }

    /// A function that queues spans, for the assembler.
    pub fn queue(&self) -> impl FnMut(HttpSpan) + Send + use<> {
        let queue = self.queue.clone();
        let counts = Arc::clone(&self.counts);
        move |span| {
            let taken = queue
                .as_ref()
                .is_some_and(|queue| queue.try_send(span).is_ok());
            if !taken {
                counts.queue_full.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// What has become of the spans so far.
    pub fn counts(&self) -> Exported {
        let of = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Exported {
            written: of(&self.counts.written),
            queue_full: of(&self.counts.queue_full),
            unwritable: of(&self.counts.unwritable),
        }
    }

    /// Waits until all is written, or the sink is out of patience: what is left then is
    /// lost. Whoever holds the queue has let go of it before.
    pub fn finish(mut self) -> Exported {
        self.queue = None;
        self.counts.end.get_or_init(Instant::now);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
        self.counts()
    }
}

fn hand_over(spans: &Receiver<HttpSpan>, mut to: impl SpanSink, counts: &ExportCounts) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while let Ok(span) = spans.recv() {
        batch.push(span);
        batch.extend(spans.try_iter().take(TOGETHER - 1));
        let ending = counts.end.get().zip(to.patience_at_end());
        let is_late = ending.is_some_and(|(end, patience)| end.elapsed() > patience);
        let taken = match is_late {
            true => 0,
            false => to.take(&batch).unwrap_or(0),
        };
        let lost = batch.len() - taken;
        counts.written.fetch_add(taken as u64, Ordering::AcqRel);
        counts.unwritable.fetch_add(lost as u64, Ordering::AcqRel);
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::span::Side;

    fn span() -> HttpSpan {
        HttpSpan {
            side: Side::Server,
            method: "GET".into(),
            path: "/".into(),
            status: Some(200),
            start_ns: 1,
            duration_ns: 2,
            request_bytes: 3,
            response_bytes: 4,
            pid: 5,
            connection: 6,
            complete: true,
        }
    }

    #[test]
    fn every_span_is_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let export = Export::start(SpanLines::new(file.reopen().unwrap()), 100).unwrap();
        let mut queue = export.queue();
        for _ in 0..50 {
            queue(span());
        }
        drop(queue);
        assert_eq!(export.finish().written, 50);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text.lines().count(), 50);
        let read: HttpSpan = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(read, span());
    }

    /// A collector that is gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let export = Export::start(SpanLines::new(Gone), 1000).unwrap();
        let mut queue = export.queue();
        (0..10).for_each(|_| queue(span()));
        drop(queue);
        let exported = export.finish();
        assert_eq!((exported.written, exported.unwritable), (0, 10));
    }

    #[test]
    fn a_queue_that_is_full_loses_and_counts() {
        let (block, wait) = mpsc::channel::<()>();
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let export = Export::start(SpanLines::new(Stuck(wait)), 10).unwrap();
        let mut queue = export.queue();
        (0..100).for_each(|_| queue(span()));
        let lost = export.counts().queue_full;
        drop((queue, block));
        let exported = export.finish();
        assert!(lost > 0);
        assert_eq!(exported.written + exported.queue_full, 100);
    }
}
