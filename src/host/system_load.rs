//! What else went on while something was measured.

use std::time::Instant;

use super::files::Files;
use super::machine_time::{MachineTime, tick};
use crate::schema::SystemLoad;

/// A look at the machine's accounts, to be held against a later one.
#[derive(Debug)]
pub struct Watch {
    at: Instant,
    accounts: Accounts,
    load: Option<f64>,
}

/// Totals since the start of the machine, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Accounts {
    machine: Option<MachineTime>,
    /// Processor time of this process and of its children that have ended.
    own: Option<f64>,
    /// Time with some task waiting.
    pressure: Option<f64>,
}

impl Watch {
    /// The first look.
    pub fn start() -> Self {
        let files = Files::of_this_machine();
        Self {
            at: Instant::now(),
            accounts: Accounts::read(&files),
            load: files
                .text("proc/loadavg")
                .ok()
                .and_then(|t| first_number(&t)),
        }
    }

    /// The second look, and what went on since the first.
    pub fn stop(&self) -> SystemLoad {
        let files = Files::of_this_machine();
        let now = Accounts::read(&files);
        SystemLoad {
            load_before: self.load,
            frequency_mhz: frequency(&files),
            ..self.accounts.until(&now, self.at.elapsed().as_secs_f64())
        }
    }
}

impl Accounts {
    fn read(files: &Files) -> Self {
        Self {
            machine: MachineTime::read(files),
            own: files.text("proc/self/stat").ok().and_then(|t| own(&t)),
            pressure: files
                .text("proc/pressure/cpu")
                .ok()
                .and_then(|t| pressure(&t)),
        }
    }

    fn until(&self, later: &Self, seconds: f64) -> SystemLoad {
        let since = |now: Option<f64>, then: Option<f64>| Some(now? - then?).filter(|s| *s >= 0.0);
        let part = |of: fn(MachineTime) -> f64| since(later.machine.map(of), self.machine.map(of));
        let all = part(|m| m.all).filter(|all| *all > 0.0);
        let share = |part: Option<f64>| Some(part? / all? * 100.0);
        let own = since(later.own, self.own);
        SystemLoad {
            steal_pct: share(part(|m| m.stolen)),
            others_pct: share(
                part(|m| m.busy)
                    .zip(own)
                    .map(|(busy, own)| (busy - own).max(0.0)),
            ),
            cpu_pressure_pct: since(later.pressure, self.pressure)
                .filter(|_| seconds > 0.0)
                .map(|waiting| waiting / seconds * 100.0),
            load_before: None,
            frequency_mhz: None,
        }
    }
}

/// Seconds of this process and its children from `/proc/self/stat`. The command's name,
/// which may hold spaces and brackets, ends at the last bracket.
fn own(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    // Counted from the state, which follows the name: utime stime cutime cstime.
    let times = fields.split_whitespace().skip(11).take(4);
    let times: Vec<u64> = times.map_while(|t| t.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum::<u64>() as f64 * tick())
}

/// The total of the `some` line of a pressure file, which is in microseconds.
fn pressure(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|l| l.strip_prefix("some "))?;
    let total: u64 = line.rsplit_once("total=")?.1.trim().parse().ok()?;
    Some(total as f64 / 1e6)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The lowest and the highest clock, in MHz.
fn frequency(files: &Files) -> Option<(f64, f64)> {
    let text = files.text("proc/cpuinfo").ok()?;
    let clocks = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "cpu MHz").then(|| value.trim().parse::<f64>().ok())?
    });
    clocks.fold(None, |range, mhz| {
        let (lo, hi) = range.unwrap_or((mhz, mhz));
        Some((lo.min(mhz), hi.max(mhz)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::fixture::tree;
    use super::*;

    fn accounts(stat: &str, own: &str, pressure: &str) -> Accounts {
        let root = tree(&[
            ("proc/stat", stat),
            ("proc/self/stat", own),
            ("proc/pressure/cpu", pressure),
        ]);
        Accounts::read(&Files::under(root.path()))
    }

    #[test]
    fn shares_are_of_all_processors() {
        let before = accounts(
            "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n",
            "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 10 10 0 0 20 0",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull total=5\n",
        );
        let after = accounts(
            "cpu  150 0 130 900 0 0 0 20 0 0\n",
            "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 20 10 30 10 20 0",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n",
        );
        let seen = before.until(&after, 1.0);
        // 80 ticks were busy, 50 of them its own, of 200 in all.
        let found = [seen.steal_pct, seen.others_pct, seen.cpu_pressure_pct];
        for (found, share) in found.into_iter().zip([10.0, 15.0, 50.0]) {
            assert!((found.unwrap() - share).abs() < 1e-9, "{seen:?}");
        }
        assert_eq!(
            seen.disturbances(),
            [
                "10 % of its processor time was stolen by the hypervisor",
                "15 % of the machine was used by other programs"
            ]
        );
    }

    #[test]
    fn a_machine_that_says_nothing_is_not_disturbed() {
        let silent = Accounts::default().until(&Accounts::default(), 1.0);
        assert_eq!(silent.steal_pct, None);
        assert!(silent.disturbances().is_empty());
        assert_eq!(accounts("cpu 1 x", "7 a", "some"), Accounts::default());
    }

    #[test]
    fn clocks_that_run_backwards_give_nothing() {
        let before = accounts("cpu  9 0 0 9 0 0 0 9 0 0", "1 (a) S 1", "some total=9");
        let after = accounts("cpu  1 0 0 1 0 0 0 1 0 0", "1 (a) S 1", "some total=1");
        let seen = before.until(&after, 0.0);
        assert_eq!((seen.steal_pct, seen.cpu_pressure_pct), (None, None));
    }

    #[test]
    fn the_clock_of_every_processor_counts() {
        let root = tree(&[("proc/cpuinfo", "cpu MHz\t: 2100.5\ncpu MHz\t: 3000.0\n")]);
        assert_eq!(
            frequency(&Files::under(root.path())),
            Some((2100.5, 3000.0))
        );
        let root = tree(&[("proc/cpuinfo", "processor : 0\n")]);
        assert_eq!(frequency(&Files::under(root.path())), None);
    }

    #[test]
    fn shares_of_this_machine_are_shares() {
        let watch = Watch::start();
        let seen = watch.stop();
        assert!(
            seen.others_pct
                .is_none_or(|share| (0.0..=100.0).contains(&share))
        );
    }
}
