//! What parts of one suite have in common.

use std::collections::BTreeMap;

use probecost::gate::Gate;
use probecost::schema::{GatePolicy, Portion, Shard};

use crate::check::CheckArgs;
use crate::failure::Failure;
use crate::input::Run;

/// The part of `names` that is this shard's.
///
/// # Errors
/// There is nothing left for it.
pub fn portion<'a>(
    shard: Shard,
    names: impl IntoIterator<Item = &'a str>,
    gate: &'a Gate,
) -> Result<Portion, Failure> {
    let portion = shard.part(names, |id| gate.ratios.together(id));
    match portion.own.is_empty() {
        false => Ok(portion),
        true => Err(Failure::new(format!(
            "--shard {shard}: nothing is left for it of {} benchmarks",
            portion.suite.len()
        ))
        .remedy("fewer shards")),
    }
}

/// What all shards of runs against a baseline have in common.
pub fn plan_of_runs(runs: &[Run], gate: &Gate, args: &CheckArgs) -> BTreeMap<String, String> {
    let record = runs.iter().find_map(|run| run.record.as_ref());
    let commit = record.and_then(|record| record.commit.clone());
    let mut plan = plan("check", args.policy, gate);
    plan.insert("commit".into(), commit.unwrap_or_else(|| "none".into()));
    if args.all_budgets {
        plan.insert(ALL_BUDGETS.into(), "asked for".into());
    }
    let only = args.only.as_ref().map(ToString::to_string);
    for (option, value) in [
        ("--only", &only),
        ("--tag", &args.tag),
        ("--against", &args.against),
    ] {
        plan.extend(value.clone().map(|value| (option.to_owned(), value)));
    }
    plan
}

/// What all shards of any kind have in common.
pub fn plan(kind: &str, policy: GatePolicy, gate: &Gate) -> BTreeMap<String, String> {
    let policy = match policy {
        GatePolicy::Advisory => "advisory",
        GatePolicy::Strict => "strict",
    };
    BTreeMap::from([
        ("kind".to_owned(), kind.to_owned()),
        ("policy".to_owned(), policy.to_owned()),
        (GATE.to_owned(), gate.digest()),
    ])
}

/// The numbers of gate.toml, in a plan.
pub const GATE: &str = "gate.toml";

/// In a plan where budgets of which nothing was measured are broken.
pub const ALL_BUDGETS: &str = "--all-budgets";
