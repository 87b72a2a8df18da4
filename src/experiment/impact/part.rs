//! The part of a comparison that is one shard's.

use std::collections::BTreeMap;

use crate::arm::Arm;
use crate::gate::Gate;
use crate::host::Obstacle;
use crate::schema::{Provenance, Shard, ShardPart};

/// Which programs and arms are this shard's. An arm under a program and what it is compared
/// with, the same program without, stay together.
///
/// # Errors
/// There is nothing left for it.
pub fn part(
    shard: Shard,
    programs: &[String],
    arms: &[Arm],
    gate: &Gate,
    provenance: &Provenance,
) -> Result<ShardPart, Obstacle> {
    let agents = arms.iter().filter(|arm| !matches!(arm, Arm::Off));
    let names: Vec<String> = agents
        .flat_map(|arm| programs.iter().map(|program| pair(program, arm.name())))
        .collect();
    let portion = shard.part(names.iter().map(String::as_str), |name| name);
    if portion.own.is_empty() {
        return Err(Obstacle::new(
            format!(
                "nothing is left for shard {shard} of {} programs under an agent",
                names.len()
            ),
            "fewer shards",
        ));
    }
    let commit = provenance.commit.clone();
    Ok(ShardPart {
        portion,
        plan: BTreeMap::from([
            ("kind".to_owned(), "impact".to_owned()),
            ("gate.toml".to_owned(), gate.digest()),
            ("commit".to_owned(), commit.unwrap_or("none".to_owned())),
        ]),
        evidence: BTreeMap::new(),
    })
}

/// The arms that are measured under this program; none where there is nothing to compare.
pub fn arms_of(part: Option<&ShardPart>, program: &str, arms: &[Arm]) -> Vec<Arm> {
    let Some(part) = part else {
        return arms.to_vec();
    };
    let wanted =
        |arm: &&Arm| matches!(arm, Arm::Off) || part.portion.has(&pair(program, arm.name()));
    let arms: Vec<Arm> = arms.iter().filter(wanted).cloned().collect();
    match arms.as_slice() {
        [] | [Arm::Off] => Vec::new(),
        _ => arms,
    }
}

/// Whether the row of a program under an arm that this machine cannot have is this shard's.
pub fn has_lacking(part: Option<&ShardPart>, program: &str, arm: &str) -> bool {
    part.is_none_or(|part| part.portion.has(&pair(program, arm)))
}

/// What a program under an arm is called in the suite.
fn pair(program: &str, arm: &str) -> String {
    format!("{program}/{arm}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provenance;

    #[test]
    fn each_arm_is_measured_once_and_never_without_off() {
        let arms = [Arm::Off, Arm::Stats];
        let programs = ["nginx", "build", "grep"].map(String::from);
        let shards: Vec<Shard> = "1/2".parse::<Shard>().unwrap().all().collect();
        let (mut seen, mut lacking) = (Vec::new(), Vec::new());
        for shard in shards {
            let part = part(shard, &programs, &arms, &Gate::shipped(), &provenance()).unwrap();
            for program in &programs {
                let own = arms_of(Some(&part), program, &arms);
                assert!(matches!(own.as_slice(), [] | [Arm::Off, Arm::Stats]));
                seen.extend(own.get(1).map(|_| program.as_str()));
                let is_own = has_lacking(Some(&part), program, "rules=inode");
                lacking.extend(is_own.then_some(program.as_str()));
            }
        }
        for mut programs in [seen, lacking] {
            programs.sort_unstable();
            assert_eq!(programs, ["build", "grep", "nginx"]);
        }
        let alone = "4/4".parse().unwrap();
        let none = part(alone, &programs, &arms, &Gate::shipped(), &provenance());
        assert!(none.is_err_and(|e| e.to_string().contains("fewer shards")));
    }
}
