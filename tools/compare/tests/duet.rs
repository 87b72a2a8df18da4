//! `cargo compare duet` on executables that answer as Criterion's do.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use support::{DUET, Place, Ran, executable, program};

const JSON: [&str; 7] = [
    "duet",
    "--bin-base",
    "old",
    "--bin-head",
    "new",
    "--format",
    "json",
];

fn duet(place: &Place, more: &[&str]) -> Ran {
    place.compare(&[&JSON, more].concat())
}

#[test]
fn a_slower_head_is_named_and_nothing_else() {
    let place = Place::new();
    executable(&place, "old", "a/one a/two b", "");
    executable(
        &place,
        "new",
        "a/one a/two b",
        "[[ $id == a/two ]] && ns=1050",
    );
    let ran = duet(&place, &[]).exits(1);
    let slow = ran.row("a/two");
    assert_eq!(
        (&slow["status"], &slow["severity"]),
        (&"regressed".into(), &"acceptable".into())
    );
    assert!((slow["change_pct"].as_f64().unwrap() - 5.0).abs() < 0.1);
    let paired = &slow["paired"];
    assert_eq!(
        (&paired["screen_rounds"], &paired["rounds"]),
        (&6.into(), &16.into())
    );
    for id in ["a/one", "b"] {
        assert_eq!(ran.row(id)["status"], "unchanged");
        assert_eq!(ran.row(id)["paired"]["rounds"], 0, "the screen clears it");
    }
    assert_eq!(ran.json()["duet"]["base"], "old");
    duet(&place, &["--policy", "advisory"]).exits(0);
    let text = place.compare(&DUET).exits(1).out;
    for line in [
        "failed: slower than base: 1 regressed, 2 unchanged",
        "head new against base old, ",
        "a/two: slower in 16 of 16 rounds of its own",
        "99 % interval   slower in   verdict",
        "2 of 3 were cleared by a screen of up to 6 rounds, 1 judged on fresh ones alone;",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let only = duet(&place, &["--only", "^b$"]).exits(0);
    assert_eq!(only.json()["rows"].as_array().unwrap().len(), 1);
}

#[test]
fn equals_pass_and_a_gain_is_told() {
    let place = Place::new();
    executable(&place, "old", "a b", "");
    executable(&place, "new", "a b", "[[ $id == b ]] && ns=800");
    let ran = duet(&place, &[]).exits(0);
    assert_eq!(ran.row("a")["status"], "unchanged");
    assert_eq!(ran.row("b")["status"], "improved");
}

#[test]
fn what_is_too_short_is_shown_and_never_called() {
    let place = Place::new();
    executable(&place, "old", "a b", "[[ $id == b ]] && ns=20");
    executable(&place, "new", "a b", "[[ $id == b ]] && ns=40");
    let ran = duet(&place, &[]).exits(0);
    assert_eq!(ran.row("b")["status"], "filtered");
    assert!(ran.row("b")["change_pct"].as_f64().unwrap() > 50.0);
    let text = place.compare(&DUET).exits(0).out;
    let said = "0 judged on fresh ones alone, 1 too short to judge;";
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_may_be_chance_cannot_be_decided() {
    let place = Place::new();
    executable(&place, "old", "a", "");
    // Slower in three rounds of four.
    executable(&place, "new", "a", "ns=1100; ((k % 4)) || ns=900");
    let ran = duet(&place, &["--rounds", "8"]).exits(3);
    let row = ran.row("a");
    assert_eq!(row["status"], "inconclusive");
    assert!(row["more_runs"].as_u64().unwrap() > 0, "{row}");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("more rounds would decide"),
        "{row}"
    );
}

#[test]
fn what_one_side_lacks_is_a_row() {
    let place = Place::new();
    executable(&place, "old", "a sort_old", "");
    executable(&place, "new", "a sort_new", "");
    let ran = duet(&place, &[]).exits(2);
    let gone = ran.row("sort_old");
    assert_eq!(gone["status"], "missing");
    assert!(
        gone["reason"]
            .as_str()
            .unwrap()
            .contains("is it `sort_new` now?"),
        "{gone}"
    );
    assert_eq!(ran.row("sort_new")["status"], "new");
    // One that only head has stops nobody.
    executable(&place, "new", "a sort_old b", "");
    assert_eq!(duet(&place, &[]).exits(0).row("b")["status"], "new");
    // But nothing compared is no pass.
    let said = duet(&place, &["--only", "nothing"]).exits(2).err;
    assert!(said.contains("no benchmark matches"), "{said}");
}

#[test]
fn a_panic_and_a_hang_are_rows() {
    let place = Place::new();
    executable(&place, "old", "a b c", "");
    let body = "[[ $id == b ]] && { echo 'note: x' >&2; echo 'thread main panicked at 7' >&2; exit 101; }\n\
                [[ $id == c ]] && sleep 100";
    executable(&place, "new", "a b c", body);
    let started = Instant::now();
    let ran = duet(&place, &["--timeout", "5"]).exits(2);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "the hang was waited for"
    );
    let reason = |id| ran.row(id)["reason"].as_str().unwrap().to_owned();
    assert_eq!(ran.row("b")["status"], "broken");
    let panicked = reason("b");
    assert!(
        panicked.contains("head ended with exit status: 101"),
        "{panicked}"
    );
    assert!(panicked.contains("panicked at 7"), "{panicked}");
    assert_eq!(ran.row("c")["status"], "broken");
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains(" not decided; chance"), "{notes}");
    let hung = reason("c");
    assert!(
        hung.contains("head took longer than 5 s") && hung.contains("--timeout"),
        "{hung}"
    );
    assert_eq!(ran.row("a")["status"], "unchanged");
}

/// What a bench leaves behind holds its pipes open: nobody waits for that.
#[test]
fn a_child_left_behind_is_ended_and_holds_nobody_up() {
    let place = Place::new();
    let leave = "sleep 1000 & echo $! >>left";
    for name in ["old", "new"] {
        executable(&place, name, "a", leave);
        edit(
            &place,
            name,
            "    exit\n",
            &format!("    {leave}\n    exit\n"),
        );
    }
    let started = Instant::now();
    duet(&place, &[]).exits(0);
    assert!(started.elapsed() < Duration::from_secs(60), "waited for it");
    let left = fs::read_to_string(place.path("left")).unwrap();
    assert!(left.lines().count() > 4);
    let runs = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    // One that was killed may need its time to end.
    let since = Instant::now();
    while left.lines().any(runs) {
        assert!(since.elapsed() < Duration::from_secs(10), "some still run");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_bench_that_writes_nothing_is_a_row() {
    let place = Place::new();
    executable(&place, "old", "a", "");
    executable(
        &place,
        "new",
        "a",
        "echo 'Couldn’t write: No space left on device' >&2; exit 0",
    );
    let ran = duet(&place, &[]).exits(2);
    let row = ran.row("a");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.contains("wrote no sample.json") && reason.contains("No space left"),
        "{reason}"
    );
}

#[test]
fn an_interrupt_keeps_what_there_is_and_leaves_nothing_behind() {
    let place = Place::new();
    executable(
        &place,
        "old",
        "a b",
        "[[ $id == b ]] && { touch in_b; sleep 100; }",
    );
    executable(
        &place,
        "new",
        "a b",
        "[[ $id == b ]] && { touch in_b; sleep 100; }",
    );
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = place.command(&JSON);
    // Those that take turns share no process, however long listing takes.
    command.env("TMPDIR", &temporary).env("TURNS", "1");
    let ran = interrupted(command, &place.path("in_b")).exits(3);
    assert_eq!(ran.row("a")["runs"]["current"], 1, "a round of it was made");
    let stopped = ran.row("b");
    assert_eq!(stopped["status"], "inconclusive");
    assert!(
        stopped["reason"].as_str().unwrap().contains("interrupted"),
        "{stopped}"
    );
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

/// What rounds have decided before an interrupt stays decided.
#[test]
fn an_interrupt_takes_back_no_verdict() {
    let place = Place::new();
    executable(&place, "old", "a b", "");
    // `b` stays open: it is slower in three rounds of four, until one waits.
    executable(
        &place,
        "new",
        "a b",
        "ns=1100\n[[ $id == b ]] && { echo . >>rounds; n=$(wc -l <rounds)\n\
         ((n % 4)) || ns=900\n((n > 6 + 18)) && { touch in_b; sleep 100; }; }",
    );
    let profiled = [&JSON[..], &["--profile", "profile"]].concat();
    let ran = interrupted(place.command(&profiled), &place.path("in_b")).exits(1);
    assert_eq!(ran.row("a")["status"], "regressed");
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("a: no profile: interrupted"), "{notes}");
    let reason = ran.row("b")["reason"].to_string();
    assert!(reason.contains("interrupted"), "{reason}");
}

#[test]
fn a_hang_up_that_nohup_has_ignored_is_no_interrupt() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(&place, name, "a", "kill -HUP $PPID");
    }
    let duet = place.command(&JSON);
    let hung_up = |mut command: Command| {
        let output = command.current_dir(place.path("")).output().unwrap();
        output.status.code()
    };
    let mut held = Command::new("nohup");
    held.arg(duet.get_program()).args(duet.get_args());
    assert_eq!(hung_up(held), Some(0));
    // Whoever started this test may have ignored it as well.
    let mut free = Command::new("env");
    free.arg("--default-signal=HUP");
    free.arg(duet.get_program()).args(duet.get_args());
    assert_ne!(hung_up(free), Some(0));
}

/// A duet that gets a Ctrl-C as soon as the file `sign` is there.
fn interrupted(duet: Command, sign: &Path) -> Ran {
    Ran::signalled(duet, sign, |pid| kill_process(pid, Signal::INT))
}

#[test]
fn executables_that_cannot_be_used_are_named() {
    let place = Place::new();
    for name in ["old", "new"] {
        program(
            &place.path(name),
            "#!/bin/sh\necho 'what is --list?' >&2; exit 2\n",
        );
    }
    let row = duet(&place, &[]).exits(2).row("bench");
    let said = row["reason"].to_string();
    assert!(said.contains("does not list its benchmarks"), "{said}");
    assert!(said.contains("exit status: 2: what is --list?"), "{said}");
    fs::remove_file(place.path("new")).unwrap();
    executable(&place, "old", "a", "");
    let said = duet(&place, &[]).exits(2).err;
    assert!(said.contains("new: No such file"), "{said}");
    let output = place
        .command(&["duet", "--bin-base", "old", "--bin-head", "old"])
        .env("TMPDIR", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("/nowhere") && said.contains("TMPDIR"),
        "{said}"
    );
}

/// Changes a script that was written by [`executable`].
fn edit(place: &Place, name: &str, from: &str, to: &str) {
    let script = fs::read_to_string(place.path(name)).unwrap();
    assert!(script.contains(from), "{from} is not in {script}");
    program(&place.path(name), script.replacen(from, to, 1));
}

/// Where listing takes a while, so does whatever each process sets up: it is shared.
#[test]
fn a_set_up_that_costs_is_shared_and_one_that_ends_early_takes_nobody_along() {
    let place = Place::new();
    let ids = "a b c d e f g h";
    executable(&place, "old", ids, "");
    executable(&place, "new", ids, "[[ $id == c ]] && ns=1100");
    for name in ["old", "new"] {
        edit(&place, name, "    exit\n", "    sleep 0.6\n    exit\n");
    }
    let ran = duet(&place, &[]).exits(1);
    assert_eq!(ran.row("c")["status"], "regressed");
    assert_eq!(ran.json()["summary"]["unchanged"], 7);
    let processes = fs::read_to_string(place.path("new.count")).unwrap();
    // Six rounds of eight, and sixteen of one.
    assert!(processes.lines().count() < 6 * 8, "{processes}");
    executable(&place, "new", ids, "[[ $id == f ]] && exit 101");
    edit(&place, "new", "    exit\n", "    sleep 0.6\n    exit\n");
    let ran = duet(&place, &[]).exits(2);
    assert_eq!(ran.row("f")["status"], "broken");
    assert_eq!(ran.json()["summary"]["unchanged"], 7);
}

/// Not again in each round.
#[test]
fn those_that_cannot_share_a_process_are_asked_to_once() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(&place, name, "a b c d", "[[ $filter == *'|'* ]] && exit 7");
        edit(&place, name, "    exit\n", "    sleep 0.6\n    exit\n");
    }
    duet(&place, &[]).exits(0);
    let processes = fs::read_to_string(place.path("old.count")).unwrap();
    assert_eq!(processes.lines().count(), 1 + 6 * 4);
}

/// Each takes half a second: three of either side have begun when a second and a half is over.
#[test]
fn what_shares_a_process_ends_when_time_is_up() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(
            &place,
            name,
            "a b c d e f",
            "echo $id >>measured; sleep 0.5",
        );
        edit(&place, name, "    exit\n", "    sleep 0.6\n    exit\n");
    }
    let ran = duet(&place, &["--minutes", "0.025"]).exits(3);
    assert_eq!(ran.json()["summary"]["inconclusive"], 6);
    let measured = fs::read_to_string(place.path("measured")).unwrap();
    assert!(measured.lines().count() <= 6, "{measured}");
}

#[test]
fn what_time_does_not_suffice_for_is_inconclusive() {
    let place = Place::new();
    let slow = "sleep 0.1; [[ $id == c && $0 == *head* ]] && ns=1200";
    executable(&place, "old", "a b c d", slow);
    executable(&place, "new", "a b c d", slow);
    let ran = duet(&place, &["--minutes", "0.04"]).exits(3);
    let row = ran.row("c");
    assert_eq!(row["status"], "inconclusive");
    let reason = row["reason"].to_string();
    assert!(reason.contains("time was up"), "{reason}");
    assert_eq!(ran.json()["summary"]["missing"], 0);
    assert!(ran.err.contains("4 benchmarks: about"), "{}", ran.err);
    let said = duet(&place, &["--only", ""]).exits(2).err;
    assert!(said.contains("--only is empty"), "{said}");
}

/// Three fresh rounds in nine are slower by a lot, which a look leaves open, and the tenth takes
/// all of the time.
#[test]
fn what_looks_leave_open_when_time_is_up_is_not_unchanged() {
    let place = Place::new();
    executable(&place, "old", "a", "");
    let slow = "((k <= 6 || k % 3 == 0)) && ns=1100; ((k == 16)) && sleep 7";
    executable(&place, "new", "a", slow);
    let row = duet(&place, &["--minutes", "0.1"]).exits(3).row("a");
    assert_eq!(row["status"], "inconclusive");
    assert_eq!(row["paired"]["rounds"], 10);
    let reason = row["reason"].to_string();
    assert!(reason.contains("time was up"), "{reason}");
}

/// What a measurement of the bench's own counts is no time.
#[test]
fn cycles_are_no_nanoseconds() {
    let place = Place::new();
    let cycles = "echo \"$id   time:   [$ns.1 cycles $ns.2 cycles $ns.3 cycles]\"";
    executable(&place, "old", "a", cycles);
    executable(&place, "new", "a", &format!("ns=1100\n{cycles}"));
    let row = duet(&place, &[]).exits(1).row("a");
    assert_eq!(
        (&row["unit"], &row["baseline_ns"]),
        (&"other".into(), &json!(null))
    );
    assert!(row["current"].as_f64().unwrap() > 1000.0, "{row}");
    let text = place.compare(&DUET).exits(1).out;
    assert!(text.contains("1000") && !text.contains("µs"), "{text}");
}

#[test]
fn old_lists_and_benches_that_print_a_lot_are_read() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(&place, name, "a b", "yes | head -c 3000000");
        edit(&place, name, "$id: benchmark", "$id: bench");
        edit(
            &place,
            name,
            "    exit\n",
            "    yes | head -c 3000000\n    exit\n",
        );
    }
    let ran = duet(&place, &[]).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 2);
}

#[test]
fn an_id_with_the_time_of_day_is_one_benchmark() {
    let place = Place::new();
    // Two lists within a second are alike for the second clock.
    for (clock, takes) in [("%N", ""), ("%T", "sleep 0.2")] {
        for name in ["old", "new"] {
            executable(&place, name, &format!("a at/$(date +{clock})"), takes);
        }
        let ran = duet(&place, &[]).exits(0);
        assert_eq!(ran.json()["summary"]["unchanged"], 2);
        let said = ran.json()["rows"].to_string();
        assert!(said.contains("changes from process to process"), "{said}");
    }
}

/// Each machine looks at another clock, and both have one suite.
#[test]
fn shards_share_out_what_stays_of_an_id() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(&place, name, "a at/$(date +%T)", "");
    }
    let parts = ["1/2", "2/2"].map(|shard| duet(&place, &["--shard", shard]).exits(0).json());
    for part in &parts {
        assert_eq!(part["shard"]["suite"], json!(["a", "at/…:…:…"]));
    }
}

/// Criterion's list cuts them, its filter and its results do not.
#[test]
fn an_id_longer_than_the_list_shows_is_measured() {
    let place = Place::new();
    let long = format!("group/{}", "x".repeat(140));
    executable(&place, "old", &format!("a {long}"), "");
    executable(
        &place,
        "new",
        &format!("a {long}"),
        "[[ $id == group* ]] && ns=1100",
    );
    let ran = duet(&place, &[]).exits(1);
    let row = ran.row(&format!("{}...", &long[..100]));
    assert_eq!(row["status"], "regressed");
    let reason = row["reason"].to_string();
    assert!(reason.contains("its id is longer"), "{reason}");
}

#[test]
fn an_id_with_a_temporary_name_is_one_benchmark() {
    let place = Place::new();
    for name in ["old", "new"] {
        executable(&place, name, "a read_$(mktemp -u XXXXXXXX)/x b", "");
    }
    let ran = duet(&place, &[]).exits(0);
    assert_eq!(ran.json()["summary"]["unchanged"], 3);
    let said = ran.json()["rows"].to_string();
    assert!(said.contains("matched by its place in the list"), "{said}");
}

/// With `TURNS` the executables are asked block by block, and never both at once.
#[test]
fn both_that_speak_turns_are_asked_in_turn() {
    let place = Place::new();
    executable(&place, "old", "a", "");
    executable(&place, "new", "a", "ns=1100");
    let run = |turns: bool| {
        let mut command = place.command(&JSON);
        if turns {
            command.env("TURNS", "1");
        }
        Ran::of(command).exits(1)
    };
    let ran = run(false);
    assert_eq!(ran.row("a")["paired"]["lockstep"], false);
    assert!(!place.path("blocks").exists());
    let ran = run(true);
    let row = ran.row("a");
    assert_eq!(row["paired"]["lockstep"], true);
    assert!(
        (row["change_pct"].as_f64().unwrap() - 10.0).abs() < 0.1,
        "{row}"
    );
    let blocks = fs::read_to_string(place.path("blocks")).unwrap();
    let lines: Vec<&str> = blocks.lines().collect();
    for pair in lines.chunks(2) {
        assert_eq!(
            pair[0].split(' ').next(),
            pair[1].split(' ').next(),
            "{blocks}"
        );
    }
    // Within a round of ten blocks the sides alternate.
    for round in lines.chunks(20) {
        let sides: Vec<&str> = round.iter().step_by(2).copied().collect();
        assert!(sides.windows(2).all(|w| w[0] != w[1]), "{sides:?}");
    }
}

#[test]
fn a_side_that_dies_between_its_turns_is_a_row() {
    let place = Place::new();
    executable(&place, "old", "a", "");
    executable(
        &place,
        "new",
        "a",
        "echo 'thread main panicked' >&2; exit 101",
    );
    let mut command = place.command(&JSON);
    command.env("TURNS", "1");
    let ran = Ran::of(command).exits(2);
    let row = ran.row("a");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.contains("head ended with exit status: 101"),
        "{reason}"
    );
}

/// Suites of an executable against itself, with a slowdown that it plants when told.
#[test]
fn the_live_selftest_counts_what_is_found_and_what_is_not() {
    let place = Place::new();
    let plant = "ns=$((1000 + 10 * 10#${PROBECOST_PLANT_PCT:-0}))";
    executable(&place, "old", "a b", plant);
    let selftest = ["selftest", "--duet", "old", "--times", "2"];
    let ran = place.compare(&selftest).exits(0);
    for line in [
        "2 benchmarks, 2 suites without a change and 2 with +5 %",
        "| without a change: false alarm | 0 of 2 | 0 % (0 to 84) |",
        "| +5 %: found | 2 of 2 | 100 % (16 to 100) |",
        "| +5 %: another one called | 0 of 2 |",
        "The planted ones came out +5.0 % slower",
    ] {
        assert!(ran.out.contains(line), "{line} is not in {}", ran.out);
    }
    let json = place
        .compare(&[&selftest[..], &["--format", "json"]].concat())
        .exits(0)
        .json();
    assert_eq!(json["found"]["came"], 2);
    // What is done when somebody stops it stays; what is being listed by then is left out.
    executable(&place, "old", "a b", plant);
    let list = "    echo . >>lists; (($(wc -l <lists) > 4)) && { touch in_list; sleep 100; }\n    exit 0\n";
    edit(&place, "old", "    exit\n", list);
    let ran = interrupted(place.command(&selftest), &place.path("in_list")).exits(0);
    let line = "1 suites without a change and 1 with +5 %";
    assert!(ran.out.contains(line), "{}", ran.out);
    fs::write(place.path("lists"), ".\n.\n.\n.\n").unwrap();
    fs::remove_file(place.path("in_list")).unwrap();
    let said = interrupted(place.command(&selftest), &place.path("in_list"))
        .exits(2)
        .err;
    assert!(
        said.contains("interrupted before anything was measured"),
        "{said}"
    );
    // What is built already takes no word on how to build it.
    for (asked, cause) in [
        (
            ["selftest", "--duet", "old", "--bench", "a"],
            "old: is built already",
        ),
        (
            ["selftest", "--run", "old", "--bench", "a"],
            "cannot be used with",
        ),
        (
            ["duet", "--bin-base", "old", "--bench", "a"],
            "cannot be used with",
        ),
    ] {
        let said = place.compare(&asked).exits(2).err;
        assert!(said.contains(cause), "{said}");
    }
    // One that pays no heed to it would make the power look like none.
    executable(&place, "old", "a b", "");
    let said = place.compare(&selftest).exits(2).err;
    assert!(said.contains("plants nothing"), "{said}");
}
