//! Where the processes of a run spend their time, and with it each benchmark.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use procfs::process::Process;

/// How often a look is taken: seldom enough to disturb nothing, often enough for benchmarks
/// of a second.
const PERIOD: Duration = Duration::from_millis(200);

/// A benchmark must have run for so many ticks of the kernel's account to have a share.
const LEAST_TICKS: f64 = 10.0;

/// What the processes below this one had used by then, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    at: SystemTime,
    user: f64,
    system: f64,
}

/// Looks at a process and all below it until told to stop.
pub struct Activity {
    stop: Sender<()>,
    looks: JoinHandle<Vec<Ticks>>,
}

/// What was seen of a process until its end.
pub struct ProcessTicks {
    looks: Vec<Ticks>,
    end: SystemTime,
}

impl Activity {
    /// Begins with the process `pid`.
    pub fn watch(pid: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let looks = thread::spawn(move || {
            let mut looks = Vec::new();
            loop {
                let (user, system) = ticks(pid as i32);
                let at = SystemTime::now();
                looks.push(Ticks { at, user, system });
                match stopped.recv_timeout(PERIOD) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return looks,
                }
            }
        });
        Self { stop, looks }
    }

    /// Ends with the process.
    pub fn end(self) -> ProcessTicks {
        let end = SystemTime::now();
        // A watcher that is gone needs no telling.
        let _ = self.stop.send(());
        ProcessTicks {
            looks: self.looks.join().unwrap_or_default(),
            end,
        }
    }
}

impl ProcessTicks {
    /// Of each benchmark that the process measured, by the moment its result was written, the
    /// share of its time that was the kernel's, in percent.
    pub fn system_pct(&self, written: &BTreeMap<String, SystemTime>) -> BTreeMap<String, f64> {
        let Some(begin) = self.looks.first().map(|look| look.at) else {
            return BTreeMap::new();
        };
        let mut own = written.clone();
        own.retain(|_, at| (begin..=self.end).contains(at));
        shares(&self.looks, &own)
    }
}

/// User and system time of a process, of those below it, and of those of them that ended.
fn ticks(pid: i32) -> (f64, f64) {
    let Ok(process) = Process::new(pid) else {
        return (0.0, 0.0);
    };
    let (mut user, mut system) = match process.stat() {
        Ok(stat) => (
            stat.utime as f64 + stat.cutime as f64,
            stat.stime as f64 + stat.cstime as f64,
        ),
        Err(_) => (0.0, 0.0),
    };
    for task in process.tasks().into_iter().flatten().flatten() {
        for child in task.children().unwrap_or_default() {
            let below = ticks(child as i32);
            (user, system) = (user + below.0, system + below.1);
        }
    }
    (user, system)
}

/// A benchmark lasts from the result before it to its own.
fn shares(looks: &[Ticks], written: &BTreeMap<String, SystemTime>) -> BTreeMap<String, f64> {
    let mut order: Vec<(&SystemTime, &String)> = written.iter().map(|(id, at)| (at, id)).collect();
    order.sort();
    let mut shares = BTreeMap::new();
    let Some(first) = looks.first() else {
        return shares;
    };
    let mut before = *first;
    for (at, id) in order {
        let Some(now) = looks.iter().rfind(|look| look.at <= *at) else {
            continue;
        };
        let user = now.user - before.user;
        let system = now.system - before.system;
        if user >= 0.0 && system >= 0.0 && user + system >= LEAST_TICKS {
            shares.insert(id.clone(), (100.0 * system / (user + system)).round());
        }
        before = *now;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1000.0 + seconds)
    }

    #[test]
    fn each_benchmark_has_the_time_since_the_result_before_it() {
        let look = |second: u32, user, system| Ticks {
            at: at(second.into()),
            user,
            system,
        };
        let looks = [
            look(0, 0.0, 0.0),
            look(1, 10.0, 90.0),
            look(2, 20.0, 180.0),
            look(3, 119.0, 181.0),
            look(4, 119.0, 181.0),
        ];
        let written = [("sys", 2.1), ("user", 3.5), ("short", 3.6)];
        let written = written.map(|(id, seconds)| (id.to_owned(), at(seconds)));
        let shares = shares(&looks, &BTreeMap::from(written));
        assert_eq!(
            shares,
            BTreeMap::from([("sys".into(), 90.0), ("user".into(), 1.0)])
        );
    }

    #[test]
    fn a_process_that_only_calls_the_kernel_spends_its_time_there() {
        let mut child = std::process::Command::new("dd")
            .args(["if=/dev/zero", "of=/dev/null", "bs=1"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let activity = Activity::watch(child.id());
        // However seldom it gets a CPU here.
        let used = || ticks(child.id() as i32);
        while used().0 + used().1 < 4.0 * LEAST_TICKS {
            thread::sleep(PERIOD);
        }
        let written = BTreeMap::from([("dd".to_owned(), SystemTime::now())]);
        let shares = activity.end().system_pct(&written);
        let _ = child.kill();
        child.wait().unwrap();
        assert!(shares["dd"] > 30.0, "{shares:?}");
    }
}
