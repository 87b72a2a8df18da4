//! `compare run`: the same command, again and again, each time into a home of its own.

mod activity;
mod part;
mod process;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use probecost::host::{Watch, provenance};
use probecost::schema::{Host, Portion, ProbeTimes, RunRecord, SHARD_VARIABLE, Shard};

use crate::baselines;
use crate::failure::Failure;
use crate::input;
use crate::lock;
use crate::probes;
use crate::repository::{self, Head};

use activity::Activity;
use process::BenchProcess;

/// How much of a failed command's output is shown, in bytes.
const TAIL: u64 = 2000;

/// `cargo compare run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// How many runs there shall be; those that are there already count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// Where they go: DIR/1, DIR/2, …
    #[arg(long, value_name = "DIR", default_value = "target/runs")]
    pub out: PathBuf,
    /// Only this part of the benchmarks, such as 2/4; other machines run the others
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// The command, e.g. `cargo bench --bench syscalls`
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// What all runs of a series have in common.
struct RunSeries {
    command: Vec<String>,
    /// What it comes to, one after the other.
    processes: Vec<BenchProcess>,
    host: Host,
    toolchain: Option<String>,
    portion: Option<Portion>,
    commit: Option<String>,
    /// A digest of what differed from it as the series began or went on.
    edits: Option<String>,
}

/// Makes the runs that are not there yet, and says where they lie. A run is there
/// when it is whole: whoever stops the series, by any signal, can go on with it.
///
/// # Errors
/// The command fails or measures nothing, or its results cannot be kept.
pub fn run(args: &RunArgs) -> Result<String, Failure> {
    let (out, times) = (&args.out, args.times as usize);
    fs::create_dir_all(out).map_err(|e| Failure::at(out, e))?;
    let out = out.canonicalize().map_err(|e| Failure::at(out, e))?;
    let directory = File::open(&out).map_err(|e| Failure::at(&out, e))?;
    let _lock = lock::hold(directory, &out, "another run measures into it")?;
    let (portion, command, processes) = match args.shard {
        None => {
            let all = BenchProcess::here(args.command.clone());
            (None, args.command.clone(), vec![all])
        }
        Some(shard) => {
            let gate = baselines::gate(None)?;
            let part = part::part(&args.command, shard, &gate)?;
            (Some(part.portion), part.command, part.processes)
        }
    };
    let missing: Vec<usize> = (1..=times)
        .filter(|k| !out.join(k.to_string()).exists())
        .collect();
    let head = repository::head(Path::new("."))?;
    let series = RunSeries {
        command,
        processes,
        host: Host::read().map_err(|e| Failure::new(e.to_string()))?,
        toolchain: toolchain(),
        portion,
        edits: head.as_ref().and_then(|head| head.edits.clone()),
        commit: head.map(|head| head.commit),
    };
    let earlier = earlier(&out, &series)?;
    let bar = bar(times, times - missing.len());
    let mut disturbed = 0;
    for k in &missing {
        bar.tick();
        let record = one(&out, *k, &series)?;
        let why = record.surroundings.disturbances();
        disturbed += usize::from(!why.is_empty());
        let said = match why.is_empty() {
            true => format!("run {k}: {:.1} s", record.seconds),
            false => format!(
                "run {k}: {:.1} s, disturbed: {}",
                record.seconds,
                why.join(", ")
            ),
        };
        bar.inc(1);
        match stderr().is_terminal() {
            true if why.is_empty() => {}
            true => bar.println(said),
            false => eprintln!("{said} ({k} of {})", times),
        }
    }
    bar.finish_and_clear();
    let (shown, held) = (args.out.display(), earlier.len() + missing.len());
    let mut said = match missing.len() {
        0 => format!("{shown} already holds {held} runs; more: --times, others: --out\n"),
        new => format!("{new} runs made, {held} in {shown}\n"),
    };
    if disturbed > 0 {
        said +=
            &format!("{disturbed} of them were disturbed; to make one again: rm -r {shown}/N\n");
    }
    Ok(said)
}

/// What is noted of the runs that are there already, also of those beyond what is asked for.
///
/// # Errors
/// One of them is not of this series, or none at all.
fn earlier(out: &Path, series: &RunSeries) -> Result<Vec<RunRecord>, Failure> {
    let mut earlier = Vec::new();
    let refused = |run: &Path, why: String, gone: &Path| {
        Failure::at(run, why).remedy(format!(
            "--out with another directory, or rm -r {}",
            gone.display()
        ))
    };
    for run in input::numbered_in(out)? {
        let Some(record) = input::read_record(&run)? else {
            return Err(refused(&run, "no run: it has no host.json".into(), &run));
        };
        if let Some(why) = stranger(&record, series) {
            return Err(refused(&run, why, out));
        }
        earlier.push(record);
    }
    let newest = earlier.iter().max_by_key(|record| record.started);
    if newest.is_some_and(|newest| newest.edits != series.edits) {
        let why = "holds runs of the same commit with other changes than the work tree has now";
        return Err(refused(out, why.into(), out));
    }
    Ok(earlier)
}

/// Why a run is not of this series, where it is not.
fn stranger(record: &RunRecord, series: &RunSeries) -> Option<String> {
    let part = |portion: Option<&Portion>| {
        portion.map_or("no part".to_owned(), |p| format!("part {}", p.shard))
    };
    let name = |name: &Option<String>| name.clone().unwrap_or("none".to_owned());
    if record.portion != series.portion {
        let (there, here) = (part(record.portion.as_ref()), part(series.portion.as_ref()));
        return Some(format!(
            "a run of {there} of a suite, this is {here}, or its suite changed"
        ));
    }
    if record.commit != series.commit {
        let (there, here) = (name(&record.commit), name(&series.commit));
        return Some(format!("a run of another commit, {there}; this is {here}"));
    }
    if record.toolchain != series.toolchain {
        let (there, here) = (name(&record.toolchain), name(&series.toolchain));
        return Some(format!(
            "a run by another compiler, {there}; this is {here}"
        ));
    }
    let machine = record.host.unlike(&series.host);
    if !machine.is_empty() {
        let reasons = machine.join("; ");
        return Some(format!(
            "a run on another machine, or one that was kept differently: {reasons}"
        ));
    }
    (record.command != series.command)
        .then(|| format!("a run of another command: {}", record.command.join(" ")))
}

/// The commit by now, and what differs from it.
///
/// # Errors
/// It is another commit than that of the series, another compiler, or the machine is kept
/// differently.
fn still_the_same(series: &RunSeries) -> Result<Option<Head>, Failure> {
    let (began, now) = (&series.toolchain, toolchain());
    let name = |name: Option<&String>| name.map_or("none", String::as_str).to_owned();
    if *began != now {
        let (began, now) = (name(began.as_ref()), name(now.as_ref()));
        let cause = format!("these runs are by {began}, and the compiler is {now} by now");
        return Err(Failure::new(cause).remedy("--out with another directory"));
    }
    let host = Host::read().map_err(|e| Failure::new(e.to_string()))?;
    let machine = host.unlike(&series.host);
    if !machine.is_empty() {
        let cause = "the machine was kept differently when these runs began";
        return Err(Failure::new(format!("{cause}: {}", machine.join("; ")))
            .remedy("keep it as it was, and the same command again"));
    }
    let head = repository::head(Path::new("."))?;
    let commit = head.as_ref().map(|head| &head.commit);
    if commit == series.commit.as_ref() {
        return Ok(head);
    }
    let (began, now) = (name(series.commit.as_ref()), name(commit));
    Err(Failure::new(format!(
        "these runs are of commit {began}, and the work tree is at {now} by now"
    ))
    .remedy(format!("git checkout {began}, and the same command again")))
}

/// A directory for run `k` until it is whole. What an earlier program left running may still
/// write into its own.
fn begun(out: &Path, k: usize) -> Result<PathBuf, Failure> {
    for left in input::begun_in(out, k)? {
        fs::remove_dir_all(&left).map_err(|e| Failure::at(&left, e))?;
    }
    let partial = out.join(input::partial(k));
    fs::create_dir_all(&partial).map_err(|e| Failure::at(&partial, e))?;
    Ok(partial)
}

/// One run. Its directory gets its name only when it is whole.
fn one(out: &Path, k: usize, series: &RunSeries) -> Result<RunRecord, Failure> {
    let head_before = still_the_same(series)?;
    let partial = begun(out, k)?;
    let log_path = partial.join(input::LOG);
    let log = File::create(&log_path).map_err(|e| Failure::at(&log_path, e))?;
    let before = probes::measure();
    let (started, clock, watch) = (Timestamp::now(), Instant::now(), Watch::start());
    let mut variables = vec![
        ("CRITERION_HOME", partial.clone()),
        // The counts of gungraun and of iai-callgrind, as it was called, lie beside the times.
        ("GUNGRAUN_HOME", partial.join("gungraun")),
        ("GUNGRAUN_SAVE_SUMMARY", "json".into()),
        ("IAI_CALLGRIND_HOME", partial.join("iai-callgrind")),
        ("IAI_CALLGRIND_SAVE_SUMMARY", "json".into()),
    ];
    let shard = series.portion.as_ref().map(|p| p.shard.to_string());
    variables.extend(shard.map(|shard| (SHARD_VARIABLE, shard.into())));
    let mut looks = Vec::new();
    for process in &series.processes {
        let program = process.name();
        let unstartable = |e: io::Error| {
            Failure::new(format!("{program}: {e}")).remedy("--times N -- COMMAND ARGUMENTS")
        };
        let mut child = process.start(&log, &variables).map_err(unstartable)?;
        let activity = Activity::watch(child.id());
        let status = child.wait().map_err(unstartable)?;
        looks.push(activity.end());
        if !status.success() {
            return Err(Failure::new(format!(
                "run {k}: {program} ended with {status}\n{}",
                tail(&log_path)
            ))
            .remedy(format!("less {}", log_path.display())));
        }
    }
    let (seconds, surroundings) = (clock.elapsed().as_secs_f64(), watch.stop());
    let after = probes::measure();
    let head_after = still_the_same(series)?;
    let dirty = [&head_before, &head_after]
        .into_iter()
        .flatten()
        .any(Head::is_dirty);
    let written: BTreeMap<_, _> = input::load_all(std::slice::from_ref(&partial))
        .map_err(|e| {
            Failure::new(format!(
                "run {k}: {} ended well, but {e}",
                series.command[0]
            ))
            .remedy("a command that runs Criterion benchmarks and honours CRITERION_HOME")
        })?
        .into_iter()
        .flat_map(|run| run.written)
        .collect();
    let record = RunRecord {
        schema: RunRecord::SCHEMA,
        provenance: Some(provenance()),
        host: series.host.clone(),
        started,
        seconds,
        command: series.command.clone(),
        dirty,
        edits: head_after.and_then(|head| head.edits),
        commit: series.commit.clone(),
        toolchain: series.toolchain.clone(),
        surroundings,
        probes: both(&before, &after),
        system_pct: looks.iter().flat_map(|l| l.system_pct(&written)).collect(),
        portion: series.portion.clone(),
    };
    input::write_record(&record, &partial)?;
    let whole = out.join(k.to_string());
    fs::rename(&partial, &whole).map_err(|e| Failure::at(&whole, e))?;
    Ok(record)
}

/// The probes that ran on both sides of it.
fn both(
    before: &BTreeMap<&'static str, f64>,
    after: &BTreeMap<&'static str, f64>,
) -> BTreeMap<String, ProbeTimes> {
    let times = before.iter().filter_map(|(name, before_ns)| {
        let times = ProbeTimes {
            before_ns: *before_ns,
            after_ns: *after.get(name)?,
        };
        Some(((*name).to_owned(), times))
    });
    times.collect()
}

/// What the compiler calls itself; `None` where there is none.
fn toolchain() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_default()
}

fn bar(times: usize, done: usize) -> ProgressBar {
    let bar = ProgressBar::new(times as u64)
        .with_position(done as u64)
        .with_elapsed(Default::default());
    bar.reset_eta();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}
