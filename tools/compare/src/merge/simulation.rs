//! A thousand benchmarks over fifty unequal hosts, of which some die.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use probecost::gate::Gate;
use probecost::host::provenance;
use probecost::schema::{
    BaselineUsed, Exit, GatePolicy, PairedRounds, Portion, RoundsEvidence, RowEvidence, Shard,
    ShardPart, Status, Summary, Unit, Verdict, VerdictRow,
};

use super::assemble::assemble;
use super::document::Sharded;
use super::verdict::merged;
use crate::duet;
use crate::duet::sequential::{Look, Rule, Screened, Threshold, screen};
use crate::noise::normal;
use crate::shard;

const BENCHMARKS: usize = 1000;
const HOSTS: usize = 50;
/// More shards than hosts: whoever is quick takes more of them.
const SHARDS: u32 = 250;
const DEATHS: usize = 6;

/// What head costs more, in percent of base, of each benchmark: most nothing.
fn changes() -> BTreeMap<String, f64> {
    let change = |n: usize| match n % 100 {
        7 => 12.0,
        55 if n < 500 => -15.0,
        _ => 0.0,
    };
    (0..BENCHMARKS)
        .map(|n| (format!("group{}/bench{n}", n / 20), change(n)))
        .collect()
}

/// A machine: how fast it is, and how far its rounds spread.
#[derive(Clone, Copy)]
struct SimulatedHost {
    speed: f64,
    spread: f64,
    dies_at: f64,
}

/// What a host makes of these benchmarks of a suite, and how long it takes.
fn measure(
    changes: &BTreeMap<String, f64>,
    names: &BTreeSet<String>,
    suite: Option<usize>,
    host: SimulatedHost,
    gate: &Gate,
    rng: &mut fastrand::Rng,
) -> (Vec<(VerdictRow, Option<RoundsEvidence>)>, f64) {
    let (mut rounds, mut measured) = (0, Vec::new());
    let threshold = Threshold::of(gate.duet.change_pct);
    for id in names {
        let true_ratio = (changes[id] / 100.0).ln_1p();
        let mut draw = |count: usize| -> Vec<f64> {
            rounds += count;
            let one = |_| true_ratio + host.spread * normal(rng);
            (0..count).map(one).collect()
        };
        let row = VerdictRow::without_figures(id, Unit::Ns, Status::Unchanged, "");
        let rule = Rule::new(&gate.duet, suite.unwrap_or(names.len()), gate.duet.rounds);
        match screen(&draw(gate.duet.screen_rounds), threshold) {
            Screened::Cleared => measured.push((row, None)),
            Screened::Open => {
                let mut ratios: Vec<f64> = Vec::new();
                while ratios.len() < gate.duet.rounds {
                    ratios.extend(draw(1));
                    let looks = rule.looks_after(ratios.len());
                    if looks && rule.look(&ratios, threshold) != Look::Open {
                        break;
                    }
                }
                // What a shard thinks of it by itself does not count.
                let row = VerdictRow {
                    status: if true_ratio > 0.0 {
                        Status::Regressed
                    } else {
                        Status::Improved
                    },
                    paired: Some(PairedRounds {
                        screen_rounds: gate.duet.screen_rounds,
                        rounds: ratios.len(),
                        lockstep: false,
                        seconds: 0.0,
                        slower: ratios.iter().filter(|d| **d > 0.0).count(),
                    }),
                    ..row
                };
                let evidence = RoundsEvidence {
                    ratios,
                    threshold_pct: gate.duet.change_pct,
                };
                measured.push((row, Some(evidence)));
            }
        }
    }
    (measured, 0.4 * rounds as f64 / host.speed)
}

/// The document that a shard leaves.
fn document(
    portion: Portion,
    measured: Vec<(VerdictRow, Option<RoundsEvidence>)>,
    gate: &Gate,
) -> Sharded<Verdict> {
    let evidence = measured
        .iter()
        .filter_map(|(row, rounds)| Some((row.id.clone(), RowEvidence::Rounds(rounds.clone()?))));
    let part = ShardPart {
        plan: shard::plan("duet", GatePolicy::Strict, gate),
        evidence: evidence.collect(),
        portion,
    };
    let rows: Vec<VerdictRow> = measured.into_iter().map(|(row, _)| row).collect();
    Sharded {
        path: format!("{}.json", part.portion.shard.index()).into(),
        names: rows.iter().map(|row| row.id.clone()).collect(),
        part,
        document: Verdict {
            schema: Verdict::SCHEMA,
            provenance: provenance(),
            policy: GatePolicy::Strict,
            host: None,
            baseline: BaselineUsed {
                file: "base".into(),
                commit: None,
                host: None,
                runs: 6,
                digest: None,
            },
            duet: None,
            exit: Exit::Passed,
            summary: Summary::default(),
            shift: None,
            notes: Vec::new(),
            rows,
            probes: Vec::new(),
            budgets: Vec::new(),
            shard: None,
            merged: Vec::new(),
        },
    }
}

fn statuses(rows: &[VerdictRow]) -> BTreeMap<&str, Status> {
    rows.iter()
        .map(|row| (row.id.as_str(), row.status))
        .collect()
}

/// An engine that hands a shard to whoever is free, and one that died with its host to
/// another; what came of it, and how long it took. With so many tries for each shard.
fn fleet(
    hosts: &[SimulatedHost],
    portions: &[Portion],
    tries: usize,
    gate: &Gate,
) -> (Vec<Sharded<Verdict>>, f64) {
    let changes = changes();
    let mut queue: VecDeque<(&Portion, usize)> = portions.iter().map(|p| (p, 1)).collect();
    let mut free: BinaryHeap<Reverse<(u64, usize)>> =
        (0..hosts.len()).map(|host| Reverse((0, host))).collect();
    let (mut documents, mut took) = (Vec::new(), 0.0_f64);
    while let Some((portion, attempt)) = queue.pop_front() {
        let Some(Reverse((at, number))) = free.pop() else {
            break;
        };
        let (host, started) = (hosts[number], at as f64 / 1e6);
        // A retry on another host sees other noise of the same rows.
        let mut rng =
            fastrand::Rng::with_seed(u64::from(portion.shard.index()) * 1000 + attempt as u64);
        let suite = Some(portion.suite.len());
        let (measured, seconds) = measure(&changes, &portion.own, suite, host, gate, &mut rng);
        if started + seconds > host.dies_at {
            if attempt < tries {
                queue.push_back((portion, attempt + 1));
            }
            continue;
        }
        documents.push(document(portion.clone(), measured, gate));
        took = took.max(started + seconds);
        free.push(Reverse((((started + seconds) * 1e6) as u64, number)));
    }
    (documents, took)
}

#[test]
fn fifty_unequal_hosts_come_to_what_one_comes_to_in_a_fiftieth_of_the_time() {
    let gate = Gate::shipped();
    let mut rng = fastrand::Rng::with_seed(15);
    let usual = SimulatedHost {
        speed: 1.0,
        spread: 0.004,
        dies_at: f64::INFINITY,
    };
    let all: BTreeSet<String> = changes().into_keys().collect();
    let (measured, alone) = measure(&changes(), &all, None, usual, &gate, &mut rng);
    let (done, open): (Vec<_>, Vec<_>) = measured.into_iter().partition(|(_, e)| e.is_none());
    let open = open.into_iter().filter_map(|(row, e)| Some((row, e?)));
    let mut rows = duet::settled(open.collect(), &gate, gate.duet.rounds);
    rows.extend(done.into_iter().map(|(row, _)| row));
    let one_exit = Verdict::exit_of(&rows, &[], GatePolicy::Strict);
    assert_eq!(one_exit, Exit::Failed);

    // From half to one and a half times as fast, and not equally calm.
    let hosts: Vec<SimulatedHost> = (0..HOSTS)
        .map(|n| SimulatedHost {
            speed: 0.5 + n as f64 / (HOSTS - 1) as f64,
            spread: 0.002 + 0.006 * rng.f64(),
            dies_at: match n % (HOSTS / DEATHS) {
                3 => alone / HOSTS as f64 * rng.f64(),
                _ => f64::INFINITY,
            },
        })
        .collect();
    let died = hosts.iter().filter(|host| host.dies_at.is_finite()).count();
    assert_eq!(died, DEATHS);
    let first: Shard = format!("1/{SHARDS}").parse().unwrap();
    let portion = |shard| shard::portion(shard, all.iter().map(String::as_str), &gate).unwrap();
    let portions: Vec<Portion> = first.all().map(portion).collect();
    let (documents, took) = fleet(&hosts, &portions, 5, &gate);
    let verdict = merged(assemble(documents).unwrap(), &gate).unwrap();
    assert_eq!(statuses(&verdict.rows), statuses(&rows));
    assert_eq!(verdict.exit, one_exit);
    let share = HOSTS as f64 * took / alone;
    println!("{share:.2} fiftieths of the time of one host, {died} hosts dead");
    assert!(share < 1.5, "{share:.2} fiftieths of the time of one host");

    // Where nobody tries again, what died is named, and nothing passes.
    let (documents, _) = fleet(&hosts, &portions, 1, &gate);
    let assembled = assemble(documents).unwrap();
    let own = assembled
        .lost
        .iter()
        .map(|s| &portions[s.index() as usize - 1].own);
    let own: BTreeSet<&String> = own.flatten().collect();
    assert_eq!(assembled.lost.len(), DEATHS);
    assert_eq!(assembled.missing.iter().collect::<BTreeSet<_>>(), own);
    let missing = own.len();
    let torn = merged(assembled, &gate).unwrap();
    assert_eq!((torn.exit, torn.summary.missing), (Exit::Broken, missing));
}
