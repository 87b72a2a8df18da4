//! Profiles of system calls: learnt, put into force, compared.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use probecost::file;
use probecost::gate::Gate;
use probecost::report;
use probecost::results::Results;
use probecost::schema::{self, Exit};
use probecost::stream::seccomp::{self, Profile};

use crate::command::BoundsArgs;
use probecost::report::Format;

/// `probecost seccomp`
#[derive(Args)]
pub struct SeccompArgs {
    #[command(subcommand)]
    command: SeccompCommand,
}

#[derive(Subcommand)]
enum SeccompCommand {
    /// Run a command and write the profile of what it calls; exit status 3 where calls were
    /// missed, or may have been
    Learn(LearnArgs),
    /// Run a command under a profile and count what it is denied
    Run(RunArgs),
    /// Hold profiles beside what containers may call by default
    Compare(CompareArgs),
}

#[derive(Args)]
struct LearnArgs {
    /// The profile, an OCI linux.seccomp object; what it was learnt from is written
    /// beside it, to FILE.learnt.json
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How often the command is run; the profile holds what any run called
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    bounds: BoundsArgs,
    /// The command; what it prints goes to standard error
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct RunArgs {
    /// The profile
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// What a call outside the profile meets
    #[arg(long, value_enum, default_value_t = Mode::Log)]
    mode: Mode,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    bounds: BoundsArgs,
    /// The command; what it prints goes to standard error
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct CompareArgs {
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where each run leaves a directory of its own
    #[arg(long, value_name = "DIR", default_value = "target/seccomp")]
    out: PathBuf,
    /// Pairs of runs of a build, with and without learning, to see what that costs
    #[arg(long, value_name = "N", default_value_t = 360, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Profiles; without any, those of ten programs are learnt and put to the test
    profiles: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// It is carried out, logged and counted
    Log,
    /// The kernel kills the process
    Kill,
}

/// Does what was asked.
///
/// # Errors
/// The command cannot be started or counted, or the profile not be read.
pub fn run(args: &SeccompArgs) -> Result<Exit, Box<dyn Error>> {
    match &args.command {
        SeccompCommand::Learn(args) => learn(args),
        SeccompCommand::Run(args) => replay(args),
        SeccompCommand::Compare(args) => compare(args),
    }
}

fn learn(args: &LearnArgs) -> Result<Exit, Box<dyn Error>> {
    let directory = args
        .out
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    file::make_directory(directory.unwrap_or(Path::new(".")))?;
    let (profile, learnt) = seccomp::learn(&args.command, args.runs, args.bounds.into())?;
    file::replace(&args.out, &profile.json())?;
    let mut beside = args.out.clone().into_os_string();
    beside.push(".learnt.json");
    file::write_json(Path::new(&beside), &learnt)?;
    let text = |learnt: &_| report::seccomp::learnt(learnt, &args.out);
    args.format.print(&learnt, text);
    // A profile that lacks something, or may, is written all the same, and said to be one.
    Ok(match (learnt.kernel, learnt.missed.is_empty()) {
        (Some(_), true) => Exit::Passed,
        _ => Exit::Undecided,
    })
}

fn replay(args: &RunArgs) -> Result<Exit, Box<dyn Error>> {
    let profile = Profile::read(&args.profile)?;
    let mode = match args.mode {
        Mode::Log => schema::seccomp::SeccompMode::Log,
        Mode::Kill => schema::seccomp::SeccompMode::Kill,
    };
    let run = seccomp::run(&args.command, &profile, mode, args.bounds.into())?;
    args.format.print(&run, report::seccomp::replay);
    Ok(Exit::of([run.verdict]))
}

fn compare(args: &CompareArgs) -> Result<Exit, Box<dyn Error>> {
    let limits = Gate::here()?.seccomp;
    let results = Results::create(&args.out)?;
    let report = if args.profiles.is_empty() {
        let spinner = ProgressBar::new_spinner();
        let report = seccomp::compare_programs(&limits, args.pairs as usize, |name| {
            spinner.set_message(name.to_owned());
            spinner.tick();
        })?;
        spinner.finish_and_clear();
        report
    } else {
        seccomp::compare_files(&args.profiles, &limits)?
    };
    results.write_json("seccomp.json", &report)?;
    args.format.print(&report, |report| {
        format!("{}\n{results}\n", report::seccomp::compared(report))
    });
    Ok(Exit::of(report.rows.iter().map(|row| row.verdict)))
}
