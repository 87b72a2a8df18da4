//! `--shard` and `cargo compare merge`: parts of a suite come to what the whole comes to.

mod support;

use std::fs;

use probecost::gate::Gate;
use probecost::schema::{Portion, Shard};
use serde_json::{Value, json};
use support::{Bench, DUET, Place, Ran, bench, executable, figure, program, statuses};

/// Benchmarks of the fixtures; those of `w` are arms of one workload.
const IDS: &str = "a b c d e f w/off w/hook w/event";

/// A head that is slower in `c`, quicker in `d`, and has lost `e`.
fn sides(place: &Place) {
    executable(place, "old", IDS, "");
    executable(
        place,
        "new",
        &IDS.replace(" e ", " "),
        "[[ $id == c ]] && ns=1100\n[[ $id == d ]] && ns=800",
    );
}

fn duet(place: &Place, more: &[&str]) -> Option<i32> {
    let asked = [&DUET[..], &["--format", "json"], more].concat();
    place.compare(&asked).exit
}

fn document(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path(name)).unwrap()).unwrap()
}

#[test]
fn shards_of_a_duet_come_to_what_one_process_comes_to() {
    let place = Place::new();
    sides(&place);
    assert_eq!(duet(&place, &["--out", "whole.json"]), Some(2));
    fs::create_dir(place.path("shards")).unwrap();
    for shard in ["1/3", "2/3", "3/3"] {
        let out = format!("shards/{}.json", &shard[..1]);
        duet(&place, &["--shard", shard, "--out", &out]);
    }
    let merge = ["merge", "shards", "--format", "json"];
    let merged = place.compare(&merge).exits(2);
    let whole = document(&place, "whole.json");
    assert_eq!(statuses(&merged.json()), statuses(&whole));
    assert_eq!(merged.json()["merged"].as_array().unwrap().len(), 3);
    assert_eq!(merged.json()["summary"], whole["summary"]);
    // How many were decided, and how, is said of all of them.
    let notes = merged.json()["notes"].as_array().unwrap().clone();
    let decided = |note: &&Value| note.as_str().unwrap().contains("were cleared by a screen");
    let decided: Vec<&Value> = notes.iter().filter(decided).collect();
    assert_eq!(decided, [&whole["notes"][0]]);
    for row in merged.json()["rows"].as_array().unwrap() {
        assert!(row["baseline_ns"].is_null() && row["current"].is_null());
    }
    // Again, of which the same comes: who has which row does not depend on when.
    let before = document(&place, "shards/2.json");
    fs::remove_file(place.path("shards/2.json")).unwrap();
    duet(&place, &["--shard", "2/3", "--out", "shards/2.json"]);
    let again = document(&place, "shards/2.json");
    assert_eq!(before["shard"]["own"], again["shard"]["own"]);
    place.compare(&merge).exits(2);

    // One of them left nothing: its rows are named.
    let lost = again["shard"]["own"].as_array().unwrap();
    fs::remove_file(place.path("shards/2.json")).unwrap();
    let text = place.compare(&["merge", "shards"]).exits(2).out;
    assert!(text.contains("shard 2/3 left nothing"), "{text}");
    for id in lost {
        assert_eq!(
            place.compare(&merge).row(id.as_str().unwrap())["status"],
            "missing"
        );
        assert!(text.contains(id.as_str().unwrap()), "{id}: {text}");
    }
}

#[test]
fn what_is_doubled_or_foreign_is_refused_by_its_rows() {
    let place = Place::new();
    sides(&place);
    for (shard, out) in [("1/2", "1.json"), ("2/2", "2.json"), ("2/2", "again.json")] {
        duet(&place, &["--shard", shard, "--out", out]);
    }
    let merge = |files: &[&str]| place.compare(&[&["merge"], files].concat());
    merge(&["1.json", "2.json"]).exits(2);
    let own = document(&place, "2.json")["shard"]["own"].clone();
    let row = own[0].as_str().unwrap();
    merge(&["1.json", "2.json", "again.json"]).breaks("again.json", row);
    merge(&["1.json", "2.json", "again.json"]).breaks("again.json", "shard 2/2 once more");

    duet(
        &place,
        &["--shard", "2/2", "--rounds", "9", "--out", "other.json"],
    );
    merge(&["1.json", "other.json"]).breaks("other.json", "its rounds is 9");
    duet(&place, &["--shard", "3/3", "--out", "three.json"]);
    merge(&["1.json", "2.json", "three.json"]).breaks("three.json", "of another suite");
    executable(&place, "new", "a b", "");
    duet(&place, &["--shard", "2/2", "--out", "head.json"]);
    merge(&["1.json", "head.json"]).breaks("head.json", "its head is");
    executable(&place, "old", "a b g", "");
    duet(&place, &["--out", "whole.json"]);
    merge(&["whole.json"]).breaks("whole.json", "not a shard's document");
    fs::write(place.path("broken.json"), "{").unwrap();
    merge(&["1.json", "broken.json"]).breaks("broken.json", "EOF");
    fs::create_dir(place.path("empty")).unwrap();
    merge(&["empty"]).breaks("empty", "no shard's document");
    place
        .compare(&["merge", "lost"])
        .breaks("lost", "No such file");
}

#[test]
fn more_shards_than_benchmarks_are_refused() {
    let place = Place::new();
    executable(&place, "old", "a b w/off w/hook", "");
    executable(&place, "new", "a b w/off w/hook", "");
    let arguments = DUET;
    place
        .compare(&[&arguments[..], &["--shard", "4/4"]].concat())
        .breaks("4/4", "fewer shards");
    for wrong in ["0/2", "3/2", "x"] {
        place
            .compare(&[&arguments[..], &["--shard", wrong]].concat())
            .breaks(wrong, "no part such as 2/4");
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("group/{n}")).collect()
}

/// Five runs of a part of a suite, in a directory named after its number.
fn part(place: &Place, shard: Shard, ids: &[String], bench: impl Fn(&str) -> Bench) -> Portion {
    let portion = shard.part(ids.iter().map(String::as_str), |id| id);
    let name = shard.index().to_string();
    let own: Vec<Bench> = portion.own.iter().map(|id| bench(id)).collect();
    place.runs(&name, 5, &own);
    for k in 1..=5 {
        let path = place.path(&name).join(k.to_string()).join("host.json");
        let mut record = support::record(&support::host());
        record["portion"] = serde_json::to_value(&portion).unwrap();
        fs::write(path, record.to_string()).unwrap();
    }
    portion
}

/// What `check` says of those, left in `shards`.
fn check_part(place: &Place, shard: Shard, baseline: &str, more: &[&str]) -> Ran {
    let name = shard.index().to_string();
    let out = format!("shards/{name}.json");
    let check = ["check", "--baseline", baseline, "--run", &name];
    place.compare(&[&check[..], &["--format", "json", "--out", &out], more].concat())
}

/// Runs of a part hold that part of the baseline only, and are merged by their p-values.
#[test]
fn shards_of_runs_come_to_what_all_of_them_come_to() {
    let place = Place::new();
    let ids = names(12);
    let old: Vec<Bench> = ids.iter().map(|id| bench(id, 1000.0)).collect();
    let slower = |id: &str| if id == "group/7" { 1.3 } else { 1.0 };
    let now: Vec<Bench> = (ids.iter())
        .map(|id| bench(id, 1000.0).slower(slower(id)))
        .collect();
    place.baseline(&old);
    let whole = place.check(&now, &["--format", "json"]).exits(1).json();
    let first: Shard = "1/3".parse().unwrap();
    for shard in first.all() {
        let portion = part(&place, shard, &ids, |id| {
            bench(id, 1000.0).slower(slower(id))
        });
        let ran = check_part(&place, shard, "b.json", &[]);
        assert!(matches!(ran.exit, Some(0 | 1)), "{}", ran.err);
        let rows = statuses(&document(&place, &format!("shards/{}.json", shard.index())));
        assert_eq!(
            rows.len(),
            portion.own.len(),
            "rows of others are not missing"
        );
    }
    let merge = ["merge", "shards", "--format", "json"];
    let merged = place.compare(&merge).exits(1);
    assert_eq!(statuses(&merged.json()), statuses(&whole));
    let notes = merged.json()["notes"].to_string();
    assert!(
        notes.contains("\"12 times judged") && !notes.contains("\"4 times"),
        "{notes}"
    );
    let row = merged.row("group/7");
    assert_eq!(
        row["reason"],
        "slower in its quickest runs as well: no disturbance"
    );
    place
        .compare(&["refresh", "--run", "1", "--out", "c.json"])
        .breaks("1/3", "a baseline is of all");
    // What is rare among four rows need not be among twelve.
    let limit = |rows: f64| Gate::shipped().times.family_error / rows;
    let mut part = document(&place, "shards/1.json");
    let mine: Vec<String> = (part["shard"]["own"].as_array().unwrap().iter())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    let evidence = &mut part["shard"]["evidence"][&mine[0]]["runs"];
    let shifted = json!(0.1);
    evidence["est"] = shifted.clone();
    evidence["change"]["est"] = shifted.clone();
    evidence["quick"] = shifted;
    evidence["p_value"] = json!((limit(4.0) + limit(12.0)) / 2.0);
    fs::write(place.path("shards/1.json"), part.to_string()).unwrap();
    let row = place.compare(&merge).row(&mine[0]);
    assert_eq!(row["status"], "inconclusive", "{row}");
}

/// Says of all runs in a directory what a probe took.
fn probed(place: &Place, name: &str, ns: f64) {
    for run in fs::read_dir(place.path(name)).unwrap() {
        let path = run.unwrap().path().join("host.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        record["probes"] = json!({"open_close": {"before_ns": ns, "after_ns": ns}});
        fs::write(path, record.to_string()).unwrap();
    }
}

#[test]
fn what_some_shards_note_is_said_of_those() {
    let place = Place::new();
    let ids = names(4);
    let suite: Vec<Bench> = ids.iter().map(|id| bench(id, 1000.0)).collect();
    place.runs("old", 10, &suite);
    probed(&place, "old", 900.0);
    let refresh = ["refresh", "--run", "old", "--out", "b.json"];
    place.compare(&refresh).exits(0);
    for (shard, ns) in [("1/3", 900.0), ("2/3", 1044.0), ("3/3", 900.0)] {
        let shard: Shard = shard.parse().unwrap();
        part(&place, shard, &ids, |id| bench(id, 1000.0));
        probed(&place, &shard.index().to_string(), ns);
        check_part(&place, shard, "b.json", &[]).exits(0);
    }
    let merged = place.compare(&["merge", "shards"]).exits(0);
    for note in [
        "\nShard 2/3: The machine is not as it was: 1 of 1 frozen probes moved: open_close +16.0 %",
        "\nShards 1/3, 3/3: 1 frozen probes hold",
        "\nNot both sides say how",
    ] {
        assert!(merged.out.contains(note), "{note}: {}", merged.out);
    }
}

/// A shard cannot know what another one measures; `merge` does.
#[test]
fn all_budgets_are_those_of_all_shards() {
    let place = Place::new();
    let ids = names(4);
    let suite: Vec<Bench> = ids.iter().map(|id| bench(id, 1000.0)).collect();
    place.baseline(&suite);
    let first: Shard = "1/2".parse().unwrap();
    for (nobodys, exit) in [("", 0), ("\"encode/json\" = { at_most_ns = 250 }\n", 2)] {
        let gate = format!(
            "[budgets]\n\"group/0\" = {{ at_most_ns = 60_000 }}\n\
             \"group/lost\" = {{ at_most_pct = 1 }}\n{nobodys}"
        );
        fs::write(place.path("gate.toml"), gate).unwrap();
        for shard in first.all() {
            part(&place, shard, &ids, |id| bench(id, 1000.0));
            // A figure has no name to ask for, and is the first one's.
            if shard == first {
                place.figures("1", &json!([figure("group/lost", "percent", 0.0)]));
            }
            check_part(&place, shard, "b.json", &["--all-budgets"]).exits(0);
        }
        let text = place.compare(&["merge", "shards"]).exits(exit).out;
        assert_eq!(text.contains("encode/json: no run"), exit == 2, "{text}");
    }
    check_part(&place, first, "b.json", &[]).exits(0);
    place
        .compare(&["merge", "shards"])
        .breaks("shards/", "its --all-budgets is");
}

#[test]
fn shards_are_held_to_one_baseline_and_leave_out_the_same() {
    let place = Place::new();
    let ids = names(4);
    let of = |ns: f64| ids.iter().map(|id| bench(id, ns)).collect::<Vec<_>>();
    place.baseline(&of(1000.0));
    let [first, second]: [Shard; 2] = ["1/2", "2/2"].map(|shard| shard.parse().unwrap());
    for shard in [first, second] {
        part(&place, shard, &ids, |id| bench(id, 1000.0));
        check_part(&place, shard, "b.json", &[]).exits(0);
    }
    let merge = || place.compare(&["merge", "shards"]);
    merge().exits(0);
    // Nothing of it is asked for, which its engine need not try again.
    check_part(&place, second, "b.json", &["--only", "^nothing$"]).exits(0);
    merge().breaks("shards/2.json", "its --only is ^nothing$");
    for shard in [first, second] {
        check_part(&place, shard, "b.json", &["--only", "^nothing$"]).exits(0);
    }
    merge().exits(2);
    check_part(&place, first, "b.json", &[]).exits(0);
    place.runs("newer", 10, &of(1001.0));
    let refresh = ["refresh", "--run", "newer", "--out", "b.json"];
    place.compare(&refresh).exits(0);
    check_part(&place, second, "b.json", &[]).exits(0);
    merge().breaks("shards/2.json", "another baseline than shards/1.json");
}

#[test]
fn the_gate_is_the_one_beside_the_baseline() {
    let place = Place::new();
    let ids = names(4);
    let suite: Vec<Bench> = ids.iter().map(|id| bench(id, 1000.0)).collect();
    place.baseline(&suite);
    fs::create_dir(place.path("sub")).unwrap();
    fs::rename(place.path("b.json"), place.path("sub/b.json")).unwrap();
    let gate = |text: &str| fs::write(place.path("sub/gate.toml"), text).unwrap();
    gate("[policy.strict]\nchange_pct = 40.0\n");
    let first: Shard = "1/2".parse().unwrap();
    for shard in first.all() {
        part(&place, shard, &ids, |id| bench(id, 1300.0));
        check_part(&place, shard, "sub/b.json", &[]).exits(0);
    }
    place.compare(&["merge", "shards"]).exits(0);
    gate("");
    place
        .compare(&["merge", "shards"])
        .breaks("sub/gate.toml", "not that of the shards");
}

#[test]
fn a_part_runs_its_benchmarks_alone_and_keeps_to_its_directory() {
    let place = Place::new();
    executable(&place, "bench", IDS, "");
    let run = |shard: &str| {
        let run = ["run", "--times", "1", "--out", "runs", "--shard", shard];
        place.compare(&[&run[..], &["--", "./bench"]].concat())
    };
    run("2/3").exits(0);
    let record = document(&place, "runs/1/host.json");
    let own = record["portion"]["own"].as_array().unwrap();
    for id in IDS.split(' ') {
        let there = place.path("runs/1").join(id.replace('/', "_")).exists();
        assert_eq!(there, own.contains(&id.into()), "{id}");
    }
    let arms = ["w/off", "w/hook", "w/event"].map(|arm| own.contains(&arm.into()));
    assert!(arms.iter().all(|has| *has == arms[0]), "arms were parted");
    run("2/3").exits(0);
    run("1/3").breaks("runs/1", "a run of part 2/3");
    // As Criterion's command line, it takes one filter.
    let one = "#!/bin/sh\n[ $# -le 1 ] || [ \"$2\" = --list ] || exit 2\nexec ./bench \"$@\"\n";
    program(&place.path("one"), one);
    place
        .compare(&["run", "--times", "1", "--shard", "1/2", "--", "./one", "a"])
        .breaks("exit status: 2", "leave out a filter of your own");
    // No command that lists nothing can be cut into parts.
    place
        .compare(&["run", "--times", "1", "--shard", "1/2", "--", "true"])
        .breaks("true --list", "lists no benchmark");
}
