//! Samples of a bench process, taken by perf.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::fold::Stacks;
use crate::bench_place::BenchPlace;
use crate::failure::Failure;

/// Samples a second: a prime, so that nothing that beats in milliseconds is always met.
const RATE: &str = "997";

/// What of the stack is kept of each sample for unwinding, in bytes: frame pointers are
/// mostly left out of optimised code, so that stacks are unwound by their tables.
const STACK: &str = "dwarf,8192";

/// Where the kernel says whether it may be looked at.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Where the kernel says whether it names the code of eBPF programs.
const NAMES: &str = "/proc/sys/net/core/bpf_jit_kallsyms";

/// What was recorded.
pub struct Recording {
    /// The stacks, counted.
    pub stacks: Stacks,
    /// Whether the kernel was looked at as well.
    pub kernel: bool,
}

impl Recording {
    /// What the picture shows of the kernel, in a sentence: which eBPF programs, or why none.
    pub fn kernel_side(&self) -> String {
        let programs = self.stacks.programs();
        if !programs.is_empty() {
            let shown = programs
                .iter()
                .map(|(name, share)| format!("{name} in {:.2} %", 100.0 * share));
            let shown: Vec<String> = shown.collect();
            return format!("eBPF programs of all samples: {}\n", shown.join(", "));
        }
        let why = match (self.kernel, read(NAMES).as_deref()) {
            (false, _) => format!(
                "the kernel does not let this user look at it ({PARANOID} is {})",
                read(PARANOID).unwrap_or_default()
            ),
            (true, Some("0")) => format!("the kernel does not name them ({NAMES} is 0)"),
            (true, _) => {
                "none was met: no agent was attached, or it took less than a sample".to_owned()
            }
        };
        format!("no eBPF program is shown: {why}\n")
    }
}

/// Runs the benchmarks of `executable` that match `only` in `place`, each for so long, and
/// samples them.
///
/// # Errors
/// There is no perf, it may not sample, or the process fails.
pub fn record(
    executable: &Path,
    place: &BenchPlace,
    only: &str,
    each: Duration,
) -> Result<Recording, Failure> {
    let executable = fs::canonicalize(executable).map_err(|e| Failure::at(executable, e))?;
    let scratch = tempfile::tempdir().map_err(|e| Failure::new(e.to_string()))?;
    let data = scratch.path().join("perf.data");
    let seconds = each.as_secs().max(1).to_string();
    let kernel = may_see_the_kernel();
    let event = if kernel { "cpu-clock" } else { "cpu-clock:u" };
    let mut perf = Command::new("perf");
    place.apply(&mut perf);
    perf.args(["record", "--quiet", "--freq", RATE, "--event", event])
        .args(["--call-graph", STACK, "--output"])
        .arg(&data)
        .arg("--")
        .arg(&executable)
        .args(["--bench", "--profile-time", &seconds, only])
        // What it writes is of no interest here, and must not become an earlier result.
        .env("CRITERION_HOME", scratch.path().join("criterion"));
    succeeded(
        "perf record",
        perf.output(),
        "run the bench by itself: EXE --bench --profile-time 1",
    )?;
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-demangle", "--fields"])
        .args(["comm,pid,tid,time,event,ip,sym,dso", "--input"])
        .arg(&data)
        // Thousands of look-ups of source lines that nobody asked for.
        .arg("--no-inline");
    let script = succeeded("perf script", perf.output(), "perf --version")?;
    let stacks = Stacks::of_perf(&script.stdout)?;
    match stacks.samples() {
        0 => Err(Failure::new(format!("{}: no sample", executable.display()))
            .remedy("--only with another pattern, or more --seconds")),
        _ => Ok(Recording { stacks, kernel }),
    }
}

/// Whether perf may sample the kernel here. It is tried: the right may be the user's, perf's
/// own, or everybody's.
fn may_see_the_kernel() -> bool {
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--event", "cpu-clock:k"])
        .args(["--output", "/dev/null", "true"]);
    perf.output().is_ok_and(|output| output.status.success())
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn succeeded(what: &str, output: std::io::Result<Output>, remedy: &str) -> Result<Output, Failure> {
    let output = output
        .map_err(|e| Failure::new(format!("{what}: {e}")).remedy("apt-get install linux-perf"))?;
    match output.status.success() {
        true => Ok(output),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            let said: Vec<&str> = last.into_iter().rev().collect();
            Err(
                Failure::new(format!("{what}: {}\n{}", output.status, said.join("\n")))
                    .remedy(remedy),
            )
        }
    }
}
