//! What any agent costs a real program.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use probecost::arm::{self, Arm, Knob, Knobs, Leftovers, OwnMode, Spec};
use probecost::experiment::impact::{RoundsPlan, arms_of, has_lacking, jobs, part, rows, running};
use probecost::gate::Gate;
use probecost::host::{self, Host, Obstacle};
use probecost::load::Endpoint;
use probecost::process::{Ward, interrupted, interruption, provide_tracefs, watch_signals};
use probecost::schema::impact::{
    ArmReport, Impact, ImpactMeasure, ImpactRow, ProgramReport, SCHEMA,
};
use probecost::schema::{Exit, FigureRow, Figures, Outcome, Shard};
use probecost::stats::Interval;
use probecost::{file, report};

use crate::list::once;
use crate::program::{Inputs, Program, Subject, cpus};

/// `probecost impact`
#[derive(Args)]
pub struct ImpactArgs {
    /// What to measure, separated by commas
    #[arg(long, value_delimiter = ',', conflicts_with = "command")]
    program: Vec<Program>,
    /// An agent: its name and the command that starts it
    #[arg(long, value_name = "NAME='COMMAND'", value_parser = Spec::parse)]
    agent: Vec<Spec>,
    /// An agent that a line cannot describe
    #[arg(long, value_name = "FILE")]
    agent_file: Vec<PathBuf>,
    /// Arms of our own: hook, event, elsewhere, stalled, stats [default: event, if no agent is named]
    #[arg(long, value_delimiter = ',')]
    arms: Vec<OwnArm>,
    /// Knobs of our own agent, an arm for each setting: ring, wakeup, sample, rules, scope, allow, detail
    #[arg(long, value_delimiter = ',', value_name = "KNOBS")]
    sweep: Vec<Knob>,
    /// The size of our own agent's ring in bytes, a power of two
    #[arg(long, default_value_t = Knobs::default().options.ring_bytes)]
    ring_bytes: u32,
    /// One of how many calls our own agent makes an event of
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// Path rules in our own agent's policy that match nothing
    #[arg(long, default_value_t = 0)]
    path_rules: usize,
    /// An allow-list of so many cgroups, the program's among them, in our own agent
    #[arg(long, value_name = "CGROUPS", value_parser = clap::value_parser!(u32).range(1..=4096))]
    allow: Option<u32>,
    /// Let our own agent count events by process, path and cgroup, and show the top of each
    #[arg(long)]
    detail: bool,
    /// How long to measure in all [default: 1 for each job, 3 for each service]
    #[arg(long, value_parser = minutes)]
    minutes: Option<Duration>,
    /// So many rounds in place of a time
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: Option<u32>,
    /// The size of the log that grep and awk read, in megabytes
    #[arg(long, default_value_t = 1000)]
    megabytes: u64,
    /// The seed of the order of arms
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this part of the programs and agents, such as 2/4; other machines measure the others
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// What to print
    #[arg(long, default_value = "table")]
    format: ImpactFormat,
    /// Where to leave impact.json
    #[arg(long, default_value = "target/probecost")]
    out: PathBuf,
    /// A server of your own, which we start and put under load at --url
    #[arg(long, value_name = "COMMAND", requires = "url", conflicts_with_all = ["program", "command"])]
    service: Option<String>,
    /// What is asked of it
    #[arg(long, requires = "service")]
    url: Option<Endpoint>,
    /// A command of your own in place of a program
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum OwnArm {
    Off,
    Hook,
    Event,
    Elsewhere,
    Stalled,
    Stats,
}

#[derive(Clone, Copy, ValueEnum)]
enum ImpactFormat {
    Table,
    Json,
    Markdown,
}

/// How long a share of the time is, unless said.
const SHARE: Duration = Duration::from_secs(60);

/// The size of a long allow-list, in a sweep.
const ALLOWED: u32 = 100;

/// Measures and prints.
///
/// # Errors
/// Nothing could be measured at all.
pub fn run(args: &ImpactArgs) -> Result<Exit, Box<dyn Error>> {
    let gate = Gate::here()?;
    once("--program", &args.program)?;
    once("--arms", &args.arms)?;
    once("--sweep", &args.sweep)?;
    let agents = agents(args)?;
    // Before minutes of measuring, not after.
    file::make_directory(&args.out)?;
    watch_signals()?;
    // Only some agents want it, and they say so.
    let _ = provide_tracefs();
    let ward = Ward::new()?;
    let mut programs = programs(args);
    let inputs = Inputs {
        megabytes: args.megabytes,
        service: args.service.as_deref().zip(args.url.as_ref()),
        command: &args.command,
    };
    let mut impact = Impact {
        schema: SCHEMA,
        host: Host::read()?,
        provenance: host::provenance(),
        seed: args.seed,
        programs: Vec::new(),
        arms: Vec::new(),
        rows: Vec::new(),
        shard: None,
        merged: Vec::new(),
    };
    let mut all = vec![Arm::Off];
    let own = own_arms(args, &ward)?;
    all.extend(own.arms);
    all.extend(agents.into_iter().map(Box::new).map(Arm::Agent));
    let names: Vec<String> = programs.iter().map(|p| p.name(&inputs)).collect();
    if let Some(shard) = args.shard {
        let part = part(shard, &names, &all, &gate, &impact.provenance)?;
        programs.retain(|p| !arms_of(Some(&part), &p.name(&inputs), &all).is_empty());
        impact.shard = Some(part);
    }
    for name in &names {
        let is_own = |(arm, _): &&(String, String)| has_lacking(impact.shard.as_ref(), name, arm);
        let own = own.lacking.iter().filter(is_own);
        let rows = own.map(|(arm, why)| ImpactRow::skipped(name, arm, why.clone()));
        impact.rows.extend(rows);
    }
    let shares: u32 = programs.iter().map(|program| program.share()).sum();
    let share = args.minutes.map_or(SHARE, |all| all / shares);
    let plan = |program: Program| RoundsPlan {
        length: share * program.share(),
        rounds: args.rounds.map(|rounds| rounds as usize),
        seed: args.seed,
    };
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("{bar:30} {msg} {elapsed}").expect("a valid template"),
    );
    let mut left = Leftovers::default();
    let mut written = Ok(());
    for program in programs {
        let name = program.name(&inputs);
        bar.set_message(name.clone());
        let arms = arms_of(impact.shard.as_ref(), &name, &all);
        let progress = |done: f64| bar.set_position((1000.0 * done) as u64);
        let subject = match interrupted() {
            true => Err(interruption()),
            false => program.set_up(&ward, &inputs),
        };
        let measured = match subject {
            Ok(Subject::Job(mut job)) => {
                jobs(&mut *job, &arms, &ward, &mut left, &plan(program), progress)
            }
            Ok(Subject::Service(mut service)) => {
                let (plan, cpu) = (plan(program), cpus().1);
                running(&mut service, &arms, &ward, &mut left, &plan, cpu, progress)
            }
            Err(obstacle) => Err(obstacle),
        };
        match measured {
            Ok(measured) => {
                let report =
                    |arm: &probecost::experiment::impact::ArmLog| arm.report(&measured.program);
                impact.arms.extend(measured.arms.iter().map(report));
                impact.programs.push(ProgramReport {
                    program: measured.program.clone(),
                    note: measured.note(),
                });
                impact
                    .rows
                    .extend(rows(&measured, host::allowed_cpus().len(), &gate.impact));
            }
            Err(obstacle) => {
                let agents = arms.iter().filter(|arm| !matches!(arm, Arm::Off));
                let missing =
                    agents.map(|arm| ImpactRow::missing(&name, arm.name(), obstacle.to_string()));
                impact.rows.extend(missing);
            }
        }
        written = write(&args.out, &impact);
    }
    bar.finish_and_clear();
    drop(ward);
    match args.format {
        ImpactFormat::Table => report::print(&report::impact::table(&impact)),
        ImpactFormat::Markdown => report::print(&report::impact_markdown::markdown(&impact)),
        ImpactFormat::Json => report::print(&(serde_json::to_string_pretty(&impact)? + "\n")),
    }
    // What was measured is printed, whether or not there was room for it.
    written?;
    Ok(Exit::of(impact.rows.iter().map(|row| row.verdict)))
}

/// Is our own agent, for the process that started this one.
///
/// # Errors
/// It cannot be attached.
pub fn serve_agent(settings: &str) -> Result<Exit, Box<dyn Error>> {
    let knobs: Knobs = serde_json::from_str(settings)?;
    arm::serve(&knobs)?;
    Ok(Exit::Passed)
}

fn programs(args: &ImpactArgs) -> Vec<Program> {
    match (
        &args.service,
        args.command.as_slice(),
        args.program.as_slice(),
    ) {
        (Some(_), _, _) => vec![Program::Service],
        (None, [_, ..], _) => vec![Program::Command],
        (None, [], []) => vec![Program::Build],
        (None, [], asked) => asked.to_vec(),
    }
}

fn agents(args: &ImpactArgs) -> Result<Vec<Spec>, Obstacle> {
    let mut agents = args.agent.clone();
    for path in &args.agent_file {
        agents.push(Spec::read(path)?);
    }
    for (n, agent) in agents.iter().enumerate() {
        if agents[..n].iter().any(|other| other.name == agent.name) {
            return Err(Obstacle::new(
                format!("two agents are called {}", agent.name),
                "give each a name of its own",
            ));
        }
    }
    Ok(agents)
}

fn own_arms(args: &ImpactArgs, ward: &Ward) -> Result<OwnArms, Obstacle> {
    let asked = match args.arms.as_slice() {
        [] if args.agent.is_empty() && args.agent_file.is_empty() && args.sweep.is_empty() => {
            &[OwnArm::Event]
        }
        asked => asked,
    };
    let (program, elsewhere) = (ward.place("program"), ward.place("elsewhere"));
    let mut knobs = Knobs::default();
    knobs.options.ring_bytes = args.ring_bytes;
    knobs.options.sample = args.sample;
    knobs.path_rules = args.path_rules;
    knobs.detail = args.detail;
    let allow = |cgroups: u32| nobodys(ward, cgroups - 1);
    knobs.allow = args.allow.map(allow);
    let others = match args.sweep.contains(&Knob::Allow) {
        true => allow(ALLOWED),
        false => Vec::new(),
    };
    let own_arm = |mode: OwnMode| -> Result<Arm, Obstacle> {
        let spec = mode.spec(&knobs, program.cgroup(), elsewhere.cgroup())?;
        Ok(Arm::Agent(Box::new(spec)))
    };
    let arms = asked
        .iter()
        .filter_map(|arm| match arm {
            OwnArm::Off => None,
            OwnArm::Stats => Some(Ok(Arm::Stats)),
            OwnArm::Hook => Some(own_arm(OwnMode::Hook)),
            OwnArm::Event => Some(own_arm(OwnMode::Event)),
            OwnArm::Elsewhere => Some(own_arm(OwnMode::Elsewhere)),
            OwnArm::Stalled => Some(own_arm(OwnMode::Stalled)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut own = OwnArms {
        arms,
        lacking: Vec::new(),
    };
    for knob in &args.sweep {
        let mut refused = None;
        let before = own.arms.len();
        for (spec, knobs) in knob.specs(&knobs, program.cgroup(), &others)? {
            match knobs.try_out() {
                Ok(()) => own.arms.push(Arm::Agent(Box::new(spec))),
                Err(obstacle) => {
                    own.lacking.push((spec.name, obstacle.to_string()));
                    refused = Some(obstacle);
                }
            }
        }
        if let (Some(obstacle), true) = (refused, own.arms.len() == before) {
            return Err(obstacle);
        }
    }
    Ok(own)
}

/// Our own agent in all the ways that were asked for.
struct OwnArms {
    arms: Vec<Arm>,
    /// Settings of a swept knob that this machine cannot hold, and why.
    lacking: Vec<(String, String)>,
}

/// Cgroups that nobody is in, where any can be made.
fn nobodys(ward: &Ward, count: u32) -> Vec<PathBuf> {
    let cgroup = |n| {
        let place = ward.place(&format!("nobody-{n}"));
        place.cgroup().map(Path::to_owned)
    };
    (0..count).map_while(cgroup).collect()
}

fn write(directory: &Path, impact: &Impact) -> Result<(), Obstacle> {
    file::write_json(&directory.join("impact.json"), impact)?;
    file::write_json(&directory.join("figures/impact.json"), &figures(impact))
}

/// What each agent costs, for budgets of `cargo compare check --run DIR`: nothing of one that
/// was not seen to be there, or of what was broken off.
fn figures(impact: &Impact) -> Figures {
    let is_there = |row: &&ImpactRow| {
        let of_row = |arm: &&ArmReport| arm.program == row.program && arm.arm == row.arm;
        let arm = impact.arms.iter().find(of_row);
        arm.is_some_and(|arm| arm.proven) && row.verdict != Outcome::Broken
    };
    let rows = impact.rows.iter().filter(is_there).filter_map(|row| {
        let (name, unit) = match row.measure {
            // A budget says what may be at most.
            ImpactMeasure::CapturedPct => ("missed_pct", "percent"),
            ImpactMeasure::CpuPoints => (row.measure.word(), "percent"),
            ImpactMeasure::MemoryMb => (row.measure.word(), "MB"),
            ImpactMeasure::Errors => (row.measure.word(), "errors"),
            _ if row.ratio.is_some() => (row.measure.word(), "percent"),
            _ => return None,
        };
        let value = row.judged()?;
        Some(FigureRow {
            id: format!("impact/{}/{}/{name}", row.program, row.arm),
            unit: unit.into(),
            value: match row.measure {
                ImpactMeasure::CapturedPct => Interval::exact(100.0 - value.est),
                _ => value,
            },
        })
    });
    Figures {
        schema: Figures::SCHEMA,
        provenance: Some(impact.provenance.clone()),
        host: Some(impact.host.clone()),
        rows: rows.collect(),
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1440.0 => {
            Ok(Duration::from_secs_f64(60.0 * number))
        }
        _ => Err("a number of minutes above 0, at most 1440, is wanted".into()),
    }
}
