//! What measures are called, and what they mean to someone who reads of them here first.

/// Measures and their meaning.
const MEANINGS: [(&str, &str); 65] = [
    (
        "ratio",
        "mean time of a call with the agent, over that without",
    ),
    (
        "p95_ratio",
        "95th percentile of a call's time with the agent, over that without",
    ),
    (
        "seconds",
        "how long the program runs: more than without the agent, in percent",
    ),
    (
        "throughput",
        "work done a second: less than without the agent, in percent",
    ),
    (
        "p50",
        "median latency: more than without the agent, in percent",
    ),
    (
        "p95",
        "95th percentile of latency: more than without the agent, in percent",
    ),
    (
        "p99",
        "99th percentile of latency: more than without the agent, in percent",
    ),
    (
        "cpu_points",
        "CPU time of the machine beyond that without the agent, in percent of all CPUs",
    ),
    (
        "errors",
        "failed requests or jobs with the agent; judged by how many failed without",
    ),
    ("captured_pct", "share of events that arrived, in percent"),
    ("dropped", "events lost"),
    ("drops_pct", "events lost, in percent"),
    ("memory_mb", "memory, resident and of maps, in megabytes"),
    (
        "memory_mb_per_hour",
        "growth of memory, in megabytes an hour",
    ),
    (
        "growth_mb_per_hour",
        "growth of the memory asked for (a leak), in megabytes an hour",
    ),
    (
        "cpu_pct",
        "CPU time of the user half, in percent of one CPU",
    ),
    (
        "machine_cpu_points",
        "CPU time of the machine beyond that without tracing, in percent of all CPUs",
    ),
    ("events_per_s", "events taken a second without loss"),
    ("lost_pieces", "records that found no room"),
    (
        "attached_p50_ms",
        "median latency beyond that without the tracer while it watches another process, in milliseconds",
    ),
    (
        "attached_p95_ms",
        "95th percentile of latency beyond that without the tracer while it watches another process, in milliseconds",
    ),
    (
        "attached_p99_ms",
        "99th percentile of latency beyond that without the tracer while it watches another process, in milliseconds",
    ),
    (
        "added_p50_ms",
        "median latency beyond that without the tracer while it watches the server, in milliseconds",
    ),
    (
        "added_p95_ms",
        "95th percentile of latency beyond that without the tracer while it watches the server, in milliseconds",
    ),
    (
        "added_p99_ms",
        "99th percentile of latency beyond that without the tracer while it watches the server, in milliseconds",
    ),
    (
        "seen_pct",
        "requests with exactly one record, in percent of those sent",
    ),
    (
        "span_p99_ms",
        "from the end of a response to its record, 99th percentile, in milliseconds",
    ),
    (
        "availability_pct",
        "time without a loss, an error or a stall, in percent",
    ),
    (
        "pull_ratio",
        "time until the image can be read, over that of the other way",
    ),
    (
        "control",
        "the same measured twice, one over the other: must come out as one",
    ),
    ("files_differing", "files that are not as in their source"),
    ("failures", "times that it failed"),
    ("faults_found", "planted faults that were found"),
    ("cut_off", "whether the measurement came to its end"),
    ("left_mounted", "mounts left behind"),
    (
        "less_pct",
        "time stalled for want of memory: less than without acting, in percent",
    ),
    (
        "monitor_cpu_pct",
        "CPU time of the monitor, in percent of one CPU",
    ),
    ("monitor_memory_mb", "memory of the monitor, in megabytes"),
    ("blocks", "stretches of measuring in which it did something"),
    ("left_frozen", "groups of processes left frozen"),
    (
        "fewer calls",
        "system calls that the learnt profile allows: fewer than the default of containers, in percent",
    ),
    (
        "fewer bytes",
        "its size: less than the default's, in percent",
    ),
    (
        "different profiles of 5",
        "learnt five times: how many different profiles came out",
    ),
    (
        "false denials",
        "calls of the same program that its own profile refused",
    ),
    (
        "CPU of make",
        "CPU time that learning adds to a build, in percent",
    ),
    ("descriptors", "open descriptors, more than at first"),
    (
        "max",
        "longest latency: more than without the agent, in percent",
    ),
    (
        "switches",
        "context switches of the program: more than without the agent, in percent",
    ),
    (
        "agent_cpu_points",
        "CPU time that the agent itself takes, in percent of all CPUs",
    ),
    (
        "maps_mb",
        "of its memory what its maps take in the kernel, in megabytes",
    ),
    (
        "drops",
        "events lost, of those that were made: 0.001 is one of a thousand",
    ),
    (
        "unavailable_pct",
        "looks in which an event was lost or none came, in percent",
    ),
    ("answered_per_s", "requests answered a second"),
    ("failed_requests", "requests without an answer that counts"),
    ("p50_us", "median, from the intended start, in microseconds"),
    (
        "p95_us",
        "95th percentile, from the intended start, in microseconds",
    ),
    (
        "p99_us",
        "99th percentile, from the intended start, in microseconds",
    ),
    (
        "seen_calls_pct",
        "system calls that were seen, in percent of those that a second counter saw",
    ),
    (
        "mean_cpu_pct",
        "CPU time of the process and its children, in percent of one CPU",
    ),
    ("peak_memory_mb", "the most resident memory, in megabytes"),
    ("peak_descriptors", "the most open descriptors"),
    (
        "level_change_pct",
        "newest change of the benchmark's level, in percent",
    ),
    ("courses", "benchmarks with a course over the refreshes"),
    ("level_changes", "of these, those whose level changed"),
    (
        "overhead_pct",
        "time of a call with the agent, in percent more than without",
    ),
];

/// What a measure means; nothing where its name says it.
pub(super) fn meaning(measure: &str) -> &'static str {
    let known = MEANINGS.iter().find(|(name, _)| *name == measure);
    known.map_or("", |(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::impact::ImpactMeasure;

    #[test]
    fn every_measure_of_impact_and_soak_has_a_meaning() {
        let soak = [
            "drops_pct",
            "memory_mb",
            "memory_mb_per_hour",
            "descriptors",
            "unavailable_pct",
            "cpu_pct",
        ];
        let impact = serde_json::to_value(schemars::schema_for!(ImpactMeasure)).unwrap();
        let words = impact["oneOf"].as_array().unwrap().iter();
        let words = words.map(|word| word["const"].as_str().unwrap());
        for measure in soak.into_iter().chain(words).chain(["drops"]) {
            assert_ne!(meaning(measure), "", "{measure}");
        }
    }
}
