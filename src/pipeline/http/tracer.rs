//! The tracer: the kernel half and the user half together.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::assembler::{Assembled, Assembler, BlindUntil, HttpCounts};
use crate::agent::Options;
use crate::agent::http::{HttpHook, Traffic};
use crate::host::Obstacle;
use crate::schema::span::HttpSpan;

/// Watches processes' HTTP and gives spans. Gone when dropped; what is under
/// way is told then.
///
/// ```no_run
/// use probecost::agent::Options;
/// use probecost::pipeline::http::Tracer;
///
/// let mut tracer = Tracer::start(&Options::default(), |span| println!("{}", span.path))?;
/// tracer.attach()?;
/// tracer.watch(1234)?;
/// // … requests …
/// println!("{:?}", tracer.finish()?);
/// # Ok::<(), probecost::host::Obstacle>(())
/// ```
pub struct Tracer {
    hook: HttpHook,
    counts: Arc<HttpCounts>,
    blind_until: BlindUntil,
}

/// What the tracer has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TracerCounts {
    /// In the kernel: pieces of streams, and those lost.
    pub traffic: Traffic,
    /// Processes that the kernel's table had no room for.
    pub unwatched: u64,
    /// What came of them.
    pub assembled: Assembled,
}

impl TracerCounts {
    /// What went unseen, and why: a sentence each.
    pub fn blind_spots(&self) -> Vec<String> {
        [
            (self.traffic.failed, "pieces were lost: the ring was full"),
            (
                self.traffic.unreadable,
                "pieces were not in memory when they were looked at",
            ),
            (
                self.traffic.uring,
                "calls of io_uring moved bytes that no hook sees",
            ),
            (
                self.traffic.unread,
                "calls of recvmmsg or sendmmsg are not followed",
            ),
            (
                self.unwatched,
                "processes were not watched: there were too many at once",
            ),
            (
                self.assembled.let_go,
                "connections were let go amid a request: there were too many at once",
            ),
            (self.assembled.tls, "connections are encrypted (TLS)"),
            (self.assembled.http2, "connections speak HTTP/2"),
            (
                self.assembled.other,
                "connections speak neither HTTP/1 nor TLS, or could not be followed",
            ),
        ]
        .into_iter()
        .filter(|&(times, _)| times > 0)
        .map(|(times, why)| format!("{times} {why}"))
        .collect()
    }
}

impl Tracer {
    /// Loads it, watching nobody and attached to nothing. Every span is given to
    /// `give`, on the consumer's thread. Of the options, scope, sample rate and rung
    /// mean nothing here.
    ///
    /// # Errors
    /// The kernel does not take the programs.
    pub fn start(
        options: &Options,
        give: impl FnMut(HttpSpan) + Send + 'static,
    ) -> Result<Self, Obstacle> {
        let assembler = Assembler::new(give);
        let counts = assembler.shared_counts();
        let blind_until = assembler.blind_until();
        Ok(Self {
            hook: HttpHook::start(options, assembler)?,
            counts,
            blind_until,
        })
    }

    /// Watches a process, and all that descends from it; best called when this is attached,
    /// since what is started before goes unseen.
    ///
    /// # Errors
    /// As [`HttpHook::watch`].
    pub fn watch(&mut self, pid: u32) -> Result<(), Obstacle> {
        self.hook.watch(pid)
    }

    /// Watches the processes of a cgroup (v2), and no others; never this one.
    ///
    /// # Errors
    /// It is no cgroup.
    pub fn watch_cgroup(&mut self, path: &Path) -> Result<(), Obstacle> {
        self.hook.watch_cgroup(path)
    }

    /// Says how many bytes of a call are looked at.
    ///
    /// # Errors
    /// As [`HttpHook::set_capture`].
    pub fn set_capture(&mut self, bytes: u32) -> Result<(), Obstacle> {
        self.hook.set_capture(bytes)
    }

    /// Lets `command` be watched when it is spawned while this is attached.
    pub fn enlist(&self, command: &mut Command) {
        self.hook.enlist(command);
    }

    /// Hooks the calls. Nothing to do if they are hooked.
    ///
    /// # Errors
    /// The kernel attaches no program.
    pub fn attach(&mut self) -> Result<(), Obstacle> {
        if !self.hook.is_attached() {
            self.blind_until.now();
        }
        self.hook.attach()
    }

    /// Takes the hooks away. Who is watched stays.
    pub fn detach(&mut self) {
        self.hook.detach();
    }

    /// The counts so far.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn counts(&self) -> Result<TracerCounts, Obstacle> {
        Ok(TracerCounts {
            traffic: self.hook.traffic()?,
            unwatched: self.hook.unwatched()?,
            assembled: self.counts.read(),
        })
    }

    /// Waits until all that was seen has become spans, and gives the counts.
    ///
    /// # Errors
    /// The consumer stalls.
    pub fn drain(&self) -> Result<TracerCounts, Obstacle> {
        self.hook.drain()?;
        self.counts()
    }

    /// Sees no more, and tells what is under way as it stands. The counts at the end.
    ///
    /// # Errors
    /// The consumer stalls, or the maps cannot be read.
    pub fn finish(mut self) -> Result<TracerCounts, Obstacle> {
        self.detach();
        let counts = self.drain()?;
        // The consumer's last deed.
        drop(self.hook);
        Ok(TracerCounts {
            assembled: self.counts.read(),
            ..counts
        })
    }

    /// The CPU time that the consumer thread has used.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn consumer_cpu_time(&self) -> Result<Duration, Obstacle> {
        self.hook.consumer_cpu_time()
    }
}
