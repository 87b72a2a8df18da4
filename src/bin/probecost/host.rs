//! Which machine this is, what it can do, and what stands in the way of the rest.

use std::error::Error;
use std::fmt::{self, Write};

use clap::Args;
use probecost::agent::{self, Agent, Options, Rung};
use probecost::host::{Capability, Host, State, capabilities};
use probecost::report;
use probecost::schema::Exit;

use crate::rungs;

/// `probecost host`
#[derive(Args)]
pub struct HostArgs {
    /// Try every rung of the agent's ladder by itself
    #[arg(long)]
    rungs: bool,
    /// Only the host class, as baselines and results are named by it
    #[arg(long, conflicts_with = "rungs")]
    class: bool,
}

/// Prints it.
///
/// # Errors
/// The machine cannot be described.
pub fn run(args: &HostArgs) -> Result<Exit, Box<dyn Error>> {
    if args.rungs {
        return Ok(rungs::print());
    }
    let host = Host::read()?;
    let mut text = String::new();
    describe(&mut text, args, &host)?;
    report::print(&text);
    Ok(Exit::Passed)
}

fn describe(out: &mut String, args: &HostArgs, host: &Host) -> fmt::Result {
    if args.class {
        return writeln!(out, "{}", host.class());
    }
    describe_machine(out, host)?;
    describe_mitigations(out, host)?;
    let capabilities = capabilities();
    describe_capabilities(out, &capabilities)?;
    describe_agent(out)?;
    writeln!(out, "\n{}", closing(&capabilities))
}

fn describe_machine(out: &mut String, host: &Host) -> fmt::Result {
    let gib = host.memory_bytes as f64 / f64::from(1 << 30);
    let known = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "unknown".to_owned());
    let switch = |on: Option<bool>| known(&on.map(|on| if on { "on" } else { "off" }.to_owned()));
    writeln!(out, "This machine\n")?;
    for (name, fact) in [
        ("host class", host.class()),
        ("CPU", host.cpu_model.clone()),
        ("cores", host.cores.to_string()),
        ("memory", format!("{gib:.1} GiB")),
        ("kernel", host.kernel.clone()),
        ("virtualisation", host.virtualisation.to_string()),
        (
            "governor",
            host.governor.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("clock source", known(&host.clock_source)),
        ("SMT", switch(host.smt)),
        ("turbo", switch(host.turbo)),
    ] {
        writeln!(out, "  {name:<19} {fact}")?;
    }
    Ok(())
}

fn describe_mitigations(out: &mut String, host: &Host) -> fmt::Result {
    writeln!(
        out,
        "\nWhat its kernel does about its CPU's vulnerabilities\n"
    )?;
    for (vulnerability, status) in &host.mitigations {
        // Most vulnerabilities are of other CPUs.
        if status != "Not affected" {
            writeln!(out, "  {vulnerability:<26} {status}")?;
        }
    }
    Ok(())
}

fn describe_capabilities(out: &mut String, capabilities: &[Capability]) -> fmt::Result {
    writeln!(out, "\nWhat it can do\n")?;
    for Capability { name, state, .. } in capabilities {
        match state {
            State::Present(detail) => writeln!(out, "  {name:<19} yes  {detail}")?,
            State::Missing(obstacle) => {
                writeln!(out, "  {name:<19} no   {}", obstacle.why)?;
                writeln!(out, "  {:<19}      -> {}", "", obstacle.remedy)?;
            }
            State::Unknown(obstacle) => {
                writeln!(out, "  {name:<19} ?    {}", obstacle.why)?;
                writeln!(out, "  {:<19}      -> {}", "", obstacle.remedy)?;
            }
        }
    }
    Ok(())
}

/// How the agent would hook each operation, found out by doing it.
fn describe_agent(out: &mut String) -> fmt::Result {
    writeln!(out, "\nHow the agent hooks here\n")?;
    let agent = match Agent::start(Options::default()) {
        Ok(agent) => agent,
        Err(obstacle) => {
            writeln!(out, "  not at all          {}", obstacle.why)?;
            writeln!(out, "  {:<19} -> {}", "", obstacle.remedy)?;
            return Ok(());
        }
    };
    let hooks = agent.hooks();
    for (operation, hook) in [("open", &hooks.open), ("connect", &hooks.connect)] {
        let rung = hook.rung.map_or("no hook holds", Rung::name);
        writeln!(out, "  {operation:<19} {rung}")?;
        for tried in &hook.tried {
            writeln!(
                out,
                "  {:<19} not by {}: {}",
                "",
                tried.rung.name(),
                tried.error
            )?;
        }
    }
    for other in agent::others() {
        writeln!(out, "  {:<19} {other} is attached already", "another agent")?;
    }
    Ok(())
}

/// What cannot be had here, in one line.
fn closing(capabilities: &[Capability]) -> String {
    let purposes = |wanted: fn(&State) -> bool| {
        let purposes: Vec<&str> = capabilities
            .iter()
            .filter(|capability| wanted(&capability.state))
            .map(|capability| capability.purpose)
            .collect();
        purposes.join(", ")
    };
    let missing = purposes(|state| matches!(state, State::Missing(_)));
    let unknown = purposes(|state| matches!(state, State::Unknown(_)));
    match (missing.as_str(), unknown.as_str()) {
        ("", "") => "All of this can be had here.".to_owned(),
        (missing, "") => format!("Not to be had here: {missing}."),
        ("", unknown) => format!("Not to be seen from here: {unknown}."),
        (missing, unknown) => {
            format!("Not to be had here: {missing}. Not to be seen from here: {unknown}.")
        }
    }
}
