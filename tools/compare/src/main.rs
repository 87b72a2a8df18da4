//! The gate: judges benchmark runs against a baseline.
//!
//! `check` is the heart of it, and reads as a pipeline:
//! load → match host → estimate → decide → verdict → render.

mod args;
mod baseline;
mod budget;
mod check;
mod decide;
mod duet;
mod failure;
mod file;
mod history;
mod input;
mod refresh;
mod repeat;
mod report;
mod repository;
mod rows;
mod selftest;
mod slo;
mod terms;
mod verdict;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Cli, Command};
use check::Question;
use duet::What;
use failure::Failure;
use refresh::Order;
use repeat::Series;
use report::Format;
use selftest::{Live, Trial};
use verdict::{Exit, Verdict};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(args),
        Command::Check(args) => check(args),
        Command::Refresh(args) => refresh(args),
        Command::Selftest(args) => selftest(args),
        Command::Duet(args) => duet(args),
        Command::Slo(args) => slo(args),
        Command::History(args) => history(args),
    };
    let exit = done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        Exit::Broken
    });
    ExitCode::from(u8::from(exit))
}

fn run(args: args::Run) -> Result<Exit, Failure> {
    let said = repeat::repeat(&Series {
        times: args.times as usize,
        out: args.out,
        command: args.command,
    })?;
    print(&said)?;
    Ok(Exit::Passed)
}

fn check(args: args::Check) -> Result<Exit, Failure> {
    let verdict = check::check(&Question {
        baseline: args.baseline,
        runs: args.runs,
        against: args.against,
        policy: args.policy,
        only: args.only,
    })?;
    tell(&verdict, args.format, args.out.as_deref())
}

fn duet(args: args::Duet) -> Result<Exit, Failure> {
    let what = match (args.base, args.bin_base, args.bin_head) {
        (Some(base), _, _) => What::Revisions {
            base,
            head: args.head,
            benches: args.benches,
            control: args.control,
        },
        (None, Some(base), Some(head)) => What::Executables { base, head },
        (None, _, _) => return Err(Failure::new("--base REV, or --bin-base with --bin-head")),
    };
    let question = duet::Question {
        what,
        only: args.only,
        rounds: args.rounds.map(|n| n as usize),
        timeout: Duration::from_secs(args.timeout),
        policy: args.policy,
        seed: args.seed,
    };
    let verdict = duet::duet(&question, &duet::Interrupt::listen()?)?;
    tell(&verdict, args.format, args.out.as_deref())
}

/// Writes the verdict, and gives what it ends with.
fn tell(verdict: &Verdict, format: Format, out: Option<&Path>) -> Result<Exit, Failure> {
    let text = report::render(verdict, format, out.is_none() && colours())?;
    match out {
        Some(path) => file::replace(path, text.as_bytes())?,
        None => print(&text)?,
    }
    if format == Format::Github
        && let Some(path) = env::var_os("GITHUB_STEP_SUMMARY")
    {
        report::summarise(verdict, Path::new(&path))?;
    }
    Ok(verdict.exit)
}

fn refresh(args: args::Refresh) -> Result<Exit, Failure> {
    let said = refresh::refresh(&Order {
        runs: args.runs,
        out: args.out,
        why: args.why,
        allow_dirty: args.allow_dirty,
        append: args.append,
    })?;
    print(&said)?;
    Ok(Exit::Passed)
}

fn selftest(args: args::Selftest) -> Result<Exit, Failure> {
    if let Some(executable) = args.duet {
        let said = selftest::live(&Live {
            executable,
            times: args.times as usize,
            only: args.only,
            seed: args.seed,
            format: args.format,
        })?;
        print(&said)?;
        return Ok(Exit::Passed);
    }
    let said = selftest::selftest(&Trial {
        runs: args.runs,
        planted: args.planted,
        baseline: args.baseline,
        policy: args.policy,
        format: args.format,
        seed: args.seed,
    })?;
    print(&said)?;
    Ok(Exit::Passed)
}

fn slo(args: args::Slo) -> Result<Exit, Failure> {
    let (said, exit) = slo::slo(&slo::Question {
        artifacts: args.artifacts,
        overhead: args.overhead,
        soak: args.soak,
    })?;
    print(&said)?;
    Ok(exit)
}

fn history(args: args::History) -> Result<Exit, Failure> {
    let timeline = history::history(&history::Question {
        baseline: args.baseline,
        only: args.only,
    })?;
    let text = history::render(&timeline, args.format)?;
    match &args.out {
        Some(path) => file::replace(path, text.as_bytes())?,
        None => print(&text)?,
    }
    Ok(Exit::Passed)
}

/// A reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Whether standard output is a terminal that wants colours (no-color.org).
fn colours() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || env::var_os("TERM").is_some_and(|v| v == "dumb");
    io::stdout().is_terminal() && !refused
}
