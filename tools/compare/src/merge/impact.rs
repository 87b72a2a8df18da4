//! Shards of `probecost impact` put together: each row is judged by itself, so that the
//! rows are simply all there.

use probecost::host::provenance;
use probecost::schema::MergedShard;
use probecost::schema::impact::{Impact, ImpactMeasure, ImpactRow};

use super::assemble::Assembled;
use crate::failure::Failure;

/// All shards in one document. Of times it has the ratios alone.
///
/// # Errors
/// There are no shards.
pub fn merged(assembled: Assembled<Impact>) -> Result<Impact, Failure> {
    let reason = assembled.why_missing();
    let first = assembled.shards.first();
    let first = first.ok_or_else(|| Failure::new("no shards"))?;
    let mut merged = Impact {
        provenance: provenance(),
        programs: Vec::new(),
        arms: Vec::new(),
        rows: Vec::new(),
        ..first.document.clone()
    };
    for shard in assembled.shards {
        merged.merged.push(MergedShard {
            shard: shard.part.portion.shard,
            host: Some(shard.document.host.class()),
            date: shard.document.provenance.date,
        });
        for program in shard.document.programs {
            if !merged.programs.iter().any(|p| p.program == program.program) {
                merged.programs.push(program);
            }
        }
        merged.arms.extend(shard.document.arms);
        let rows = shard.document.rows.into_iter();
        merged.rows.extend(rows.map(without_times));
    }
    let missing = assembled.missing.iter().map(|name| missing(name, &reason));
    merged.rows.extend(missing);
    let order = |row: &ImpactRow| (row.program.clone(), row.arm.clone(), row.measure);
    merged.rows.sort_by_key(order);
    Ok(merged)
}

/// A row whose times are left out: the next row's may be another machine's.
fn without_times(row: ImpactRow) -> ImpactRow {
    match row.measure {
        ImpactMeasure::Seconds
        | ImpactMeasure::Throughput
        | ImpactMeasure::P50
        | ImpactMeasure::P95
        | ImpactMeasure::P99
        | ImpactMeasure::Max => ImpactRow {
            off: None,
            with: None,
            ..row
        },
        ImpactMeasure::CpuPoints
        | ImpactMeasure::AgentCpuPoints
        | ImpactMeasure::MemoryMb
        | ImpactMeasure::MapsMb
        | ImpactMeasure::Switches
        | ImpactMeasure::Errors
        | ImpactMeasure::CapturedPct
        | ImpactMeasure::Dropped => row,
    }
}

/// The row of what no shard measured.
fn missing(name: &str, reason: &str) -> ImpactRow {
    let (program, arm) = name.split_once('/').unwrap_or((name, ""));
    ImpactRow::missing(program, arm, reason.to_owned())
}
