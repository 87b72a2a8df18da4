//! Whatever a directory holds: a row, or an error that names the file and the cause.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;
use support::{Bench, Place, Ran, bench};

fn place() -> Place {
    let place = Place::new();
    place.baseline(&suite());
    place.runs("now", 5, &suite());
    place
}

fn suite() -> Vec<Bench> {
    vec![bench("one", 1000.0), bench("two", 2000.0)]
}

fn check(place: &Place) -> Ran {
    place.compare(&["check", "--baseline", "b.json", "--run", "now"])
}

#[test]
fn ids_and_throughputs_of_every_kind() {
    let place = Place::new();
    let suite = vec![
        bench("with space/a b", 1000.0).flat(),
        bench("ünïcode/日本語", 1000.0).throughput(json!({"Bits": 8})),
        bench("bytes", 1000.0).throughput(json!({"Bytes": 8})),
        bench("decimal", 1000.0).throughput(json!({"BytesDecimal": 8})),
        bench("elements", 1000.0).throughput(json!({"Elements": 8})),
        bench("both", 1000.0).throughput(json!({"ElementsAndBytes": {"elements": 1, "bytes": 2}})),
        bench("twice", 1000.0).directory("twice"),
        bench("twice", 5000.0).directory("twice_2"),
        bench("new", 1000.0).directory("group/new"),
    ];
    place.baseline(&suite);
    let ran = place.check(&suite, &["--format", "json"]).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 9);
    let rows = [ran.row("twice (twice)"), ran.row("twice (twice_2)")];
    assert!(rows[1]["current_ns"].as_f64() > rows[0]["current_ns"].as_f64());
    assert_eq!(ran.row("ünïcode/日本語")["status"], "unchanged");
}

#[test]
fn samples_that_cannot_be_are_rows_of_their_own() {
    let sample = |iters: &str, times: &str| {
        format!(r#"{{"sampling_mode":"Flat","iters":[{iters}],"times":[{times}]}}"#)
    };
    for (text, cause) in [
        (String::new(), "the file is empty"),
        (sample("1,1", "5")[..20].to_owned(), "EOF while parsing"),
        ("[1, 2]".into(), "invalid"),
        (sample("1", "\"x\""), "invalid type: string"),
        (sample("1", "NaN"), "expected value"),
        (sample("1", "null"), "invalid type: null"),
        (sample("1", "1e999"), "number out of range"),
        (sample("1", "Infinity"), "expected value"),
        (sample("1", "0"), "takes 0.0 ns"),
        (sample("1", "-5"), "takes -5.0 ns"),
        (sample("1", "1e40"), "takes 1e40 ns"),
        (sample("0", "5"), "0 iterations"),
        (sample("", ""), "no samples"),
        (sample("1,2", "5"), "2 counts of iterations, 1 times"),
    ] {
        let place = place();
        fs::write(place.path("now/3/one/new/sample.json"), text).unwrap();
        check(&place).breaks("now/3/one/new/sample.json", cause);
    }
}

#[test]
fn a_broken_benchmark_json_is_a_row_named_by_its_place() {
    for text in ["", "{", "{}", r#"{"full_id": 3}"#] {
        let place = place();
        fs::write(place.path("now/3/one/new/benchmark.json"), text).unwrap();
        check(&place).breaks("now/3/one/new/benchmark.json", "");
    }
    let place = place();
    fs::remove_file(place.path("now/3/one/new/benchmark.json")).unwrap();
    check(&place).breaks("now/3/one/new/benchmark.json", "No such file");
}

#[test]
fn a_copy_of_a_benchmark_is_a_row_of_its_own() {
    let place = place();
    bench("one", 1000.0)
        .directory("one")
        .write(&place.path("now/3/copy"), 3);
    check(&place).breaks("one (one)", "another directory holds the same benchmark");
}

#[test]
fn a_result_of_an_earlier_run_is_not_measured_now() {
    let place = place();
    let future = json!("2999-01-01T00:00:00Z");
    for k in 1..=5 {
        let path = place.path(&format!("now/{k}/host.json"));
        let mut record = support::record(&support::host());
        record["started"] = future.clone();
        fs::write(path, record.to_string()).unwrap();
    }
    check(&place).breaks("new was written", "by an earlier one");
}

#[test]
fn directories_without_benchmarks() {
    let place = place();
    fs::create_dir(place.path("empty")).unwrap();
    let against = |dir| place.compare(&["check", "--baseline", "b.json", "--run", dir]);
    against("empty").breaks("empty", "holds no benchmarks");
    against("nowhere").breaks("nowhere", "No such file");
    let mut by_default = place.command(&["check", "--baseline", "b.json"]);
    for elsewhere in ["CRITERION_HOME", "CARGO_TARGET_DIR"] {
        by_default.env_remove(elsewhere);
    }
    Ran::of(by_default).breaks("target/criterion", "cargo bench");
}

#[test]
fn a_run_is_given_once() {
    let place = place();
    symlink("now/2", place.path("link")).unwrap();
    for again in ["now", "now/2", "./now/../now/2", "link"] {
        let check = ["check", "--baseline", "b.json", "--run", "now", again];
        place.compare(&check).breaks(again, "given twice");
    }
}

/// Nothing of it is known to be of the same commit, machine or work tree.
#[test]
fn a_run_without_a_record_is_none_of_those_with_one() {
    let place = place();
    fs::rename(place.path("now/3"), place.path("now/3.partial")).unwrap();
    fs::remove_file(place.path("now/3.partial/host.json")).unwrap();
    let check = [
        "check",
        "--baseline",
        "b.json",
        "--run",
        "now",
        "now/3.partial",
    ];
    place
        .compare(&check)
        .breaks("now/3.partial", "where it comes from");
}

#[test]
fn baselines_that_are_none() {
    let place = place();
    let text = fs::read_to_string(place.path("b.json")).unwrap();
    for (bad, cause) in [
        (String::new(), "the file is empty"),
        (text[..text.len() / 2].to_owned(), "not a baseline"),
        ("[]".into(), "not a baseline"),
        (
            text.replace("\"schema\": 1", "\"schema\": 2"),
            "newer version: schema 2",
        ),
        (text.replace("\"runs\":10", "\"runs\":9"), "has runs"),
    ] {
        fs::write(place.path("b.json"), bad).unwrap();
        check(&place).breaks("b.json", cause);
    }
    fs::remove_file(place.path("b.json")).unwrap();
    check(&place).breaks("b.json", "cargo compare refresh");
}

#[test]
fn a_loop_of_symbolic_links_is_named() {
    let place = place();
    symlink("..", place.path("now/3/one/up")).unwrap();
    check(&place).breaks("now/3/one/up", "leads back to where it lies");
    fs::remove_file(place.path("now/3/one/up")).unwrap();
    symlink("self", place.path("now/3/self")).unwrap();
    check(&place).breaks("now/3/self", "symbolic link");
    fs::remove_file(place.path("now/3/self")).unwrap();
    // A link that leads elsewhere is followed.
    fs::rename(place.path("now/3/one"), place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("now/3/one")).unwrap();
    check(&place).exits(0);
}

/// As a user who may not read everything.
fn as_nobody(mut command: Command) -> Ran {
    use std::os::unix::process::CommandExt;
    // Root can read what it likes; others may not become anybody else, and need not.
    if fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        let binary = command.get_program().to_owned();
        let copy = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
        // By another process: a file that this one holds open to write, a test that
        // starts a program at the same moment would hold open, too, and it could not run.
        let copied = Command::new("cp").arg(binary).arg(&copy).status().unwrap();
        assert!(copied.success());
        let mut nobody = Command::new(&copy);
        nobody.args(command.get_args()).uid(65534).gid(65534);
        nobody.current_dir(command.get_current_dir().unwrap());
        let ran = Ran::of(nobody);
        fs::remove_file(copy).unwrap();
        return ran;
    }
    command.stdin(std::process::Stdio::null());
    Ran::of(command)
}

#[test]
fn a_file_without_read_permission_is_named() {
    let place = place();
    let path = place.path("now/3/one/new/sample.json");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&path, mode).unwrap();
    let check = place.command(&["check", "--baseline", "b.json", "--run", "now"]);
    as_nobody(check).breaks("now/3/one/new/sample.json", "Permission denied");
}

#[test]
fn what_critcmp_exported_is_a_run() {
    let place = place();
    let estimate = |ns: f64| {
        json!({
            "confidence_interval": {"confidence_level": 0.95, "lower_bound": ns, "upper_bound": ns},
            "point_estimate": ns, "standard_error": 1.0,
        })
    };
    let export = |one: f64| {
        let entry = |id: &str, ns: f64| {
            json!({
                "baseline": "new", "fullname": id,
                "criterion_benchmark_v1": {"group_id": id, "full_id": id, "directory_name": id},
                "criterion_estimates_v1": {
                    "mean": estimate(ns), "median": estimate(ns), "median_abs_dev": estimate(1.0),
                    "slope": null, "std_dev": estimate(1.0),
                },
            })
        };
        json!({"name": "new", "benchmarks": {"one": entry("one", one), "two": entry("two", 2000.0)}})
    };
    let check = |one: f64| {
        fs::write(place.path("e.json"), export(one).to_string()).unwrap();
        place.compare(&["check", "--baseline", "b.json", "--run", "e.json"])
    };
    check(1000.0).exits(0);
    check(2000.0).exits(1);
    check(-1.0).breaks("e.json", "takes -1.0 ns");
    fs::write(place.path("e.json"), "{\"benchmarks\": {}}").unwrap();
    let ran = place.compare(&["check", "--baseline", "b.json", "--run", "e.json"]);
    ran.breaks("e.json", "holds no benchmarks");
    let ran = place.compare(&["check", "--baseline", "b.json", "--run", "b.json"]);
    ran.breaks("b.json", "not a file that critcmp exported");
}

#[test]
fn a_hundred_thousand_benchmarks() {
    let place = Place::new();
    let entries: Vec<String> = (0..100_000)
        .map(|i| {
            let estimate = format!(r#"{{"point_estimate":{}.5,"standard_error":1}}"#, 1000 + i);
            format!(
                r#""group/{i}":{{"criterion_estimates_v1":{{"mean":{estimate},"median":{estimate}}}}}"#
            )
        })
        .collect();
    let export = format!(r#"{{"benchmarks":{{{}}}}}"#, entries.join(","));
    fs::write(place.path("e.json"), export).unwrap();
    let runs = ["1.json", "2.json", "3.json", "4.json", "5.json"];
    for run in runs {
        fs::hard_link(place.path("e.json"), place.path(run)).unwrap();
    }
    place
        .compare(&[&["refresh", "--out", "b.json", "--run"], &runs[..]].concat())
        .exits(0);
    let check = [
        "check",
        "--baseline",
        "b.json",
        "--run",
        "e.json",
        "--format",
    ];
    let ran = place
        .compare(&[&check[..], &["markdown"]].concat())
        .exits(0);
    assert!(ran.out.len() <= 1 << 20, "{} bytes", ran.out.len());
    assert!(ran.out.contains("more rows: the JSON report has them"));
    let ran = place.compare(&[&check[..], &["text"]].concat()).exits(0);
    assert!(ran.out.contains("and 99960 more"), "{}", ran.out);
}

#[test]
fn estimates_that_cannot_be_beside_a_good_sample_are_named() {
    let whole = |median: &str| {
        let estimate = |v: &str| format!(r#"{{"point_estimate":{v},"standard_error":1.0}}"#);
        format!(
            r#"{{"mean":{},"median":{}}}"#,
            estimate("1000.0"),
            estimate(median)
        )
    };
    let place = place();
    let path = place.path("now/3/one/new/estimates.json");
    fs::write(&path, whole("1000.0")).unwrap();
    check(&place).exits(0);
    for (text, cause) in [
        (whole("1000.0")[..40].to_owned(), "EOF while parsing"),
        (String::new(), "the file is empty"),
        (whole("NaN"), "expected value"),
        (whole("null"), "invalid type: null"),
        (whole("-1.0"), "the median takes -1.0 ns"),
    ] {
        fs::write(&path, text).unwrap();
        check(&place).breaks("now/3/one/new/estimates.json", cause);
    }
}

#[test]
fn without_a_place_the_results_are_where_criterion_leaves_them() {
    let place = Place::new();
    place.baseline(&suite());
    for (variable, home) in [
        ("CRITERION_HOME", "mine"),
        ("CARGO_TARGET_DIR", "other/criterion"),
    ] {
        for bench in suite() {
            bench.write(&place.path(home), 1);
        }
        let mut command = place.command(&["check", "--baseline", "b.json"]);
        for name in ["CRITERION_HOME", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        command.env(variable, home.split('/').next().unwrap());
        let ran = Ran::of(command);
        assert!(ran.out.contains("2 incomparable"), "{}{}", ran.out, ran.err);
        fs::remove_dir_all(place.path(home)).unwrap();
    }
}
