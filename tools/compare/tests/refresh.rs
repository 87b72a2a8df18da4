//! `refresh` and `run` from end to end: what is written is whole, or not there.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, Place, Ran, bench, figure, host, record};

fn suite() -> Vec<Bench> {
    vec![
        bench("one", 1000.0),
        bench("two", 2000.0),
        bench("three", 3000.0).noisy(20.0),
    ]
}

fn baseline(place: &Place) -> Value {
    serde_json::from_str(&fs::read_to_string(place.path("b.json")).unwrap()).unwrap()
}

#[test]
fn a_baseline_holds_runs_reason_and_machine() {
    let place = Place::new();
    place.runs("old", 10, &suite());
    let refresh = [
        "refresh",
        "--run",
        "old",
        "--out",
        "b.json",
        "--why",
        "first of all",
    ];
    let ran = place.compare(&refresh).exits(0);
    assert!(
        ran.out
            .contains("b.json: 3 benchmarks, 10 runs in 1 session"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("too noisy") && ran.out.contains(" three "),
        "{}",
        ran.out
    );
    let baseline = baseline(&place);
    assert_eq!(baseline["sessions"][0]["why"], "first of all");
    assert_eq!(baseline["host"]["cpu_model"], "Example CPU");
    assert_eq!(
        baseline["benchmarks"]["one"]["median"][0]
            .as_array()
            .unwrap()
            .len(),
        10
    );
}

#[test]
fn without_out_it_is_named_after_the_machine() {
    let place = Place::new();
    place.runs("old", 5, &suite());
    place.compare(&["refresh", "--run", "old"]).exits(0);
    assert!(
        place
            .path("baselines/example-cpu-2c-6.12-kvm.json")
            .exists()
    );
    // And `check` finds it by the machine of the runs.
    place.runs("now", 5, &suite());
    place.compare(&["check", "--run", "now"]).exits(0);
}

#[test]
fn a_machine_without_a_baseline_gets_another_ones_or_a_command() {
    let place = Place::new();
    place.runs("now", 5, &suite());
    place
        .compare(&["check", "--run", "now"])
        .breaks("example-cpu-2c-6.12-kvm.json", "refresh");
    place.compare(&["refresh", "--run", "now"]).exits(0);
    let baselines = place.path("baselines");
    let text = fs::read_to_string(baselines.join("example-cpu-2c-6.12-kvm.json")).unwrap();
    fs::remove_file(baselines.join("example-cpu-2c-6.12-kvm.json")).unwrap();
    fs::write(
        baselines.join("other.json"),
        text.replace("6.12.1", "5.10.1"),
    )
    .unwrap();
    let ran = place.compare(&["check", "--run", "now"]).exits(3);
    assert!(
        ran.out.contains("kernel: 5.10.1 against 6.12.1"),
        "{}",
        ran.out
    );
}

#[test]
fn too_few_runs_are_refused() {
    let place = Place::new();
    place.runs("old", 4, &suite());
    let ran = place.compare(&["refresh", "--run", "old", "--out", "b.json"]);
    ran.breaks("4 runs", "cargo compare run --times 10");
    assert!(!place.path("b.json").exists());
}

#[test]
fn what_moved_is_said() {
    let place = Place::new();
    place.baseline(&suite());
    place.runs(
        "now",
        10,
        &[
            bench("one", 1500.0),
            bench("three", 3000.0).noisy(20.0),
            bench("four", 4.0),
        ],
    );
    let ran = place
        .compare(&["refresh", "--run", "now", "--out", "b.json"])
        .exits(0);
    for words in [
        "one",
        "+50.0 %",
        "regressed",
        "two",
        "missing",
        "four",
        "new",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let again = place
        .compare(&["refresh", "--run", "now", "--out", "b.json"])
        .exits(0);
    assert!(again.out.contains("Nothing moved"), "{}", again.out);
}

#[test]
fn what_moved_cannot_be_said_before_the_baseline_is_gone() {
    let place = Place::new();
    place.baseline(&suite());
    let before = baseline(&place);
    place.runs("now", 10, &suite()[1..]);
    let refresh = ["refresh", "--run", "now", "--out", "b.json"];
    for (gate, words) in [
        ("[focus]\npatterns = [\"(\"]\n", "focus pattern `(`"),
        (
            "[benchmark]\non = { change_pct = 8 }\n",
            "did you mean `one`?",
        ),
    ] {
        fs::write(place.path("gate.toml"), gate).unwrap();
        place.compare(&refresh).breaks("gate.toml", words);
        assert_eq!(baseline(&place), before);
    }
}

/// As `check` judges: by its own threshold, and not at all what it leaves out.
#[test]
fn what_is_too_noisy_is_so_for_its_own_threshold() {
    let place = Place::new();
    let benches = [
        bench("noisy", 1000.0).noisy(20.0),
        bench("calm", 1000.0),
        bench("short", 10.0).noisy(20.0),
    ];
    place.runs("now", 10, &benches);
    let names = |gate: &str| {
        fs::write(place.path("gate.toml"), gate).unwrap();
        let refresh = ["refresh", "--run", "now", "--out", "b.json"];
        let ran = place.compare(&refresh).exits(0);
        ["noisy", "calm", "short"].map(|name| ran.out.lines().any(|l| l.trim().starts_with(name)))
    };
    assert_eq!(names(""), [true, false, false]);
    assert_eq!(names("[focus]\npatterns = [\"^calm\"]\n"), [false; 3]);
    let own = "[benchmark]\nnoisy = { change_pct = 90 }\ncalm = { change_pct = 0.01 }\n";
    assert_eq!(names(own), [false, true, false]);
}

/// Among many rows chance moves one of them further, and `check` asks for more.
#[test]
fn what_is_calm_enough_by_itself_may_be_too_noisy_among_a_hundred() {
    let place = Place::new();
    let restless = bench("restless", 1000.0).noisy(2.6);
    let refresh = |out, benches: &[Bench]| {
        place.runs("now", 10, benches);
        let refresh = ["refresh", "--run", "now", "--out", out];
        place.compare(&refresh).exits(0).out
    };
    let alone = refresh("alone.json", std::slice::from_ref(&restless));
    assert!(alone.contains("Every benchmark shows changes"), "{alone}");
    let mut many: Vec<Bench> = (0..100)
        .map(|i| bench(&format!("calm{i}"), 1000.0))
        .collect();
    many.push(restless);
    let among = refresh("many.json", &many);
    let names = |id: &str| among.lines().any(|line| line.trim().starts_with(id));
    assert!(names("restless") && !names("calm"), "{among}");
}

#[test]
fn times_of_another_machine_do_not_move() {
    let place = Place::new();
    place.baseline(&suite());
    let slower: Vec<Bench> = suite().into_iter().map(|b| b.slower(2.0)).collect();
    place.runs("now", 10, &slower);
    let mut other = host();
    other["cores"] = json!(64);
    for k in 1..=10 {
        let path = place.path(&format!("now/{k}/host.json"));
        fs::write(path, record(&other).to_string()).unwrap();
    }
    let ran = place
        .compare(&["refresh", "--run", "now", "--out", "b.json"])
        .exits(0);
    assert!(!ran.out.contains("regressed"), "{}", ran.out);
    assert!(ran.out.contains("cores: 2 against 64"), "{}", ran.out);
}

#[test]
fn a_session_is_appended_with_its_gaps() {
    let place = Place::new();
    place.baseline(&suite()[..2]);
    place.runs("more", 5, &suite()[1..]);
    let append = ["refresh", "--run", "more", "--out", "b.json", "--append"];
    let ran = place.compare(&append).exits(0);
    assert!(ran.out.contains("15 runs in 2 sessions"), "{}", ran.out);
    let benchmarks = &baseline(&place)["benchmarks"];
    assert_eq!(
        benchmarks["one"]["median"][1],
        json!([null, null, null, null, null])
    );
    assert_eq!(benchmarks["three"]["p10"][0].as_array().unwrap().len(), 10);
    place.check(&suite(), &[]).exits(0);
    let none = ["refresh", "--run", "more", "--out", "none.json", "--append"];
    place
        .compare(&none)
        .breaks("none.json", "no baseline to append to");
}

/// Of another version of this program, which took other probes.
#[test]
fn a_session_is_appended_to_probes_that_are_not_known_here() {
    let place = Place::new();
    place.baseline(&suite());
    let text = fs::read_to_string(place.path("b.json")).unwrap();
    let probes = json!({ "sieve": [vec![7.0; 10]] });
    let with = format!("\"probes\": {probes},\n  \"benchmarks\"");
    fs::write(
        place.path("b.json"),
        text.replacen("\"benchmarks\"", &with, 1),
    )
    .unwrap();
    let later = suite().into_iter().map(|bench| bench.slower(1.001));
    place.runs("more", 5, &later.collect::<Vec<_>>());
    let append = ["refresh", "--run", "more", "--out", "b.json", "--append"];
    place.compare(&append).exits(0);
    assert_eq!(
        baseline(&place)["probes"]["sieve"][1],
        json!(vec![Value::Null; 5])
    );
    place.check(&suite(), &[]).exits(0);
}

/// What could not be read again never takes the place of a baseline.
#[test]
fn what_would_be_no_baseline_leaves_the_old_one() {
    let place = Place::new();
    place.baseline(&suite());
    let before = baseline(&place);
    place.runs("now", 5, &suite());
    let mut record = record(&host());
    record["probes"] = json!({"stat": {"before_ns": 1e16, "after_ns": 1e16}});
    fs::write(place.path("now/2/host.json"), record.to_string()).unwrap();
    let refresh = ["refresh", "--run", "now", "--out", "b.json"];
    place
        .compare(&refresh)
        .breaks("b.json: not written", "probe `stat`: has the value 1e16");
    assert_eq!(baseline(&place), before);
}

#[test]
fn a_run_counts_once() {
    let place = Place::new();
    place.runs("few", 3, &suite());
    let twice = ["refresh", "--out", "b.json", "--run", "few", "few"];
    place.compare(&twice).breaks("few/1", "given twice");
    place.baseline(&suite());
    let before = baseline(&place);
    let append = ["refresh", "--append", "--out", "b.json", "--run", "old"];
    place.compare(&append).breaks("old/1", "has this very run");
    assert_eq!(baseline(&place), before);
    // Ten more beside those ten, or some of them alone.
    place.runs("more", 20, &suite());
    fs::create_dir(place.path("some")).unwrap();
    for k in 1..=10 {
        fs::remove_dir_all(place.path(&format!("more/{k}"))).unwrap();
        let to = place.path(&format!("more/{k}"));
        fs::rename(place.path(&format!("old/{k}")), to).unwrap();
    }
    for k in 5..=10 {
        let from = place.path(&format!("more/{k}"));
        let copied = Command::new("cp")
            .arg("-r")
            .arg(from)
            .arg(place.path("some"))
            .status();
        assert!(copied.unwrap().success());
    }
    for (runs, named) in [("more", "more/1"), ("some", "some/5")] {
        let append = ["refresh", "--append", "--out", "b.json", "--run", runs];
        place.compare(&append).breaks(named, "has this very run");
        assert_eq!(baseline(&place), before);
    }
}

#[test]
fn broken_runs_make_no_baseline() {
    let place = Place::new();
    place.runs("old", 5, &suite());
    fs::write(place.path("old/2/one/new/sample.json"), "{").unwrap();
    let ran = place.compare(&["refresh", "--run", "old", "--out", "b.json"]);
    ran.breaks("old/2/one/new/sample.json", "rm -r");
    assert!(!place.path("b.json").exists());
}

#[test]
fn runs_that_measured_nothing_make_no_baseline() {
    let place = Place::new();
    place.baseline(&suite());
    let before = baseline(&place);
    let mut later = record(&host());
    later["started"] = json!("2999-01-01T00:00:00Z");
    place.runs("stale", 5, &suite());
    for k in 1..=5 {
        let path = place.path(&format!("stale/{k}/host.json"));
        fs::write(path, later.to_string()).unwrap();
        let run = place.path(&format!("shares/{k}"));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("host.json"), record(&host()).to_string()).unwrap();
    }
    place.figures("shares", &json!([figure("ring/lost", "percent", 0.0)]));
    for (runs, said, remedy) in [
        ("stale", "by an earlier one", "rm -r stale/1"),
        ("shares", "no times and no counts", "cargo compare run"),
    ] {
        let refresh = ["refresh", "--run", runs, "--out", "b.json"];
        place.compare(&refresh).breaks(said, remedy);
        assert_eq!(baseline(&place), before);
    }
}

#[test]
fn a_dirty_tree_is_refused_unless_told() {
    let place = Place::new();
    let repository = git2::Repository::init(place.path("")).unwrap();
    fs::write(place.path("code.rs"), "1").unwrap();
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("code.rs")).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = git2::Signature::now("a", "a@example.org").unwrap();
    let commit = repository
        .commit(Some("HEAD"), &who, &who, "x", &tree, &[])
        .unwrap();
    // Runs without a record are taken to be of this work tree.
    for k in 1..=5 {
        bench("one", 1000.0).write(&place.path(&format!("home{k}")), k);
    }
    let refresh = "refresh --run home1 home2 home3 home4 home5 --out b.json";
    let refresh: Vec<&str> = refresh.split(' ').collect();
    place.compare(&refresh).exits(0);
    assert_eq!(
        baseline(&place)["sessions"][0]["commit"],
        commit.to_string()
    );
    fs::write(place.path("code.rs"), "2").unwrap();
    place.compare(&refresh).breaks("code.rs", "--allow-dirty");
    place
        .compare(&[&refresh[..], &["--allow-dirty"]].concat())
        .exits(0);
    assert_eq!(baseline(&place)["sessions"][0]["dirty"], true);
    // Nor where the committed ones lie, whatever one is told.
    let here = |arguments: &str| -> Vec<String> {
        let runs = "refresh --run home1 home2 home3 home4 home5 --out baselines/x.json";
        format!("{runs} {arguments}")
            .split_whitespace()
            .map(String::from)
            .collect()
    };
    let told = here("--allow-dirty");
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    place
        .compare(&told)
        .breaks("baselines/x.json", "measure again");
    assert!(!place.path("baselines/x.json").exists());
    fs::create_dir_all(place.path("baselines")).unwrap();
    let mut within = place.command(&["refresh", "--out", "x.json", "--allow-dirty", "--run"]);
    within.args((1..=5).map(|k| format!("../home{k}")));
    within.current_dir(place.path("baselines"));
    Ran::of(within).breaks("x.json", "measure again");
    fs::write(place.path("code.rs"), "1").unwrap();
    place.compare(&told).exits(0);
}

/// Those of this repository.
#[test]
fn no_committed_baseline_is_of_a_dirty_tree() {
    let baselines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../baselines");
    let mut seen = 0;
    for entry in fs::read_dir(baselines).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let baseline: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for session in baseline["sessions"].as_array().unwrap() {
                assert_eq!(session["dirty"], false, "{}", path.display());
                assert!(session["commit"].is_string(), "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

/// A release has a baseline of its own, made at its commit and at no other.
#[test]
fn a_release_has_a_baseline_of_its_own() {
    let place = Place::new();
    let repository = git2::Repository::init(place.path("")).unwrap();
    let tree = repository.index().unwrap().write_tree().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = git2::Signature::now("a", "a@example.org").unwrap();
    let commit = |parents: &[&git2::Commit]| {
        let made = repository.commit(Some("HEAD"), &who, &who, "x", &tree, parents);
        repository.find_commit(made.unwrap()).unwrap()
    };
    let first = commit(&[]);
    let second = commit(&[&first]);
    repository
        .tag_lightweight("v1.0.0", second.as_object(), false)
        .unwrap();
    repository
        .tag_lightweight("v0.9.0", first.as_object(), false)
        .unwrap();
    place.runs("runs", 5, &suite());
    for k in 1..=5 {
        let mut of_head = record(&host());
        of_head["commit"] = json!(second.id().to_string());
        fs::write(
            place.path(&format!("runs/{k}/host.json")),
            of_head.to_string(),
        )
        .unwrap();
    }
    let refresh = |tag| ["refresh", "--run", "runs", "--tag", tag];
    place.compare(&refresh("v1.0.0")).exits(0);
    let released = place.path("baselines/example-cpu-2c-6.12-kvm@v1.0.0.json");
    assert!(released.exists());
    place
        .compare(&["check", "--run", "runs", "--tag", "v1.0.0"])
        .exits(0);
    // It is nobody's but the release's.
    place
        .compare(&["check", "--run", "runs"])
        .breaks("no baseline", "refresh");
    let other = place.compare(&refresh("v0.9.0"));
    other.breaks(&second.id().to_string(), "git switch --detach v0.9.0");
    place.compare(&refresh("v7")).breaks("v7", "git log");
    place.compare(&refresh("../v1")).breaks("--tag", "v1.2.0");
}

#[test]
fn a_full_disk_leaves_the_old_baseline() {
    let place = Place::new();
    place.baseline(&suite());
    let before = fs::read(place.path("b.json")).unwrap();
    // A limit of zero on the size of files fails writes as a full disk does.
    let binary = env!("CARGO_BIN_EXE_cargo-compare");
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {binary} refresh --run old --out b.json");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(place.path(""));
    Ran::of(command).breaks("b.json", "cannot be written: File too large");
    assert_eq!(fs::read(place.path("b.json")).unwrap(), before);
    let rest = fs::read_dir(place.path("")).unwrap().count();
    assert_eq!(rest, 2, "nothing is left beside the baseline and the runs");
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_baseline_or_the_new() {
    let place = Place::new();
    let many: Vec<Bench> = (0..200).map(|i| bench(&format!("b{i}"), 1000.0)).collect();
    place.runs("old", 5, &many);
    place
        .compare(&["refresh", "--run", "old", "--out", "b.json"])
        .exits(0);
    let refresh = ["refresh", "--run", "old", "--out", "b.json"];
    for moment in 0..40 {
        let mut child = place
            .command(&refresh)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(2 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            baseline(&place)["benchmarks"].as_object().unwrap().len(),
            200
        );
    }
    place.compare(&refresh).exits(0);
    let mut rest: Vec<_> = fs::read_dir(place.path("")).unwrap().collect();
    rest.retain(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name != "old" && name != "b.json"
    });
    assert!(rest.is_empty(), "{rest:?}");
}

/// A command that measures what lies in `home`.
fn measure(place: &Place) -> String {
    bench("one", 1000.0).write(&place.path("home"), 1);
    format!(
        "cp -r {}/. \"$CRITERION_HOME\"; echo measured",
        place.path("home").display()
    )
}

#[test]
fn runs_are_made_kept_and_gone_on_with() {
    let place = Place::new();
    let script = measure(&place);
    let run = |times| {
        place.compare(&[
            "run", "--times", times, "--out", "runs", "--", "sh", "-c", &script,
        ])
    };
    let ran = run("3").exits(0);
    assert!(ran.out.contains("3 runs made, 3 in"), "{}", ran.out);
    let record: Value =
        serde_json::from_str(&fs::read_to_string(place.path("runs/2/host.json")).unwrap()).unwrap();
    assert!(record["host"]["cpu_model"].is_string() && record["seconds"].as_f64().unwrap() > 0.0);
    // One that was stopped in the middle is made again, and only that one.
    fs::rename(place.path("runs/2"), place.path("runs/2.partial")).unwrap();
    assert!(run("5").exits(0).out.contains("3 runs made, 5 in"));
    assert!(!place.path("runs/2.partial").exists());
    assert!(run("5").exits(0).out.contains("already holds 5 runs"));
    // It says as well where counts shall go.
    let told = format!("test \"$GUNGRAUN_HOME\" && test \"$IAI_CALLGRIND_HOME\" && {script}");
    let other = [
        "run", "--times", "1", "--out", "other", "--", "sh", "-c", &told,
    ];
    place.compare(&other).exits(0);
    place
        .compare(&["refresh", "--run", "runs", "--out", "b.json"])
        .exits(0);
    place
        .compare(&["check", "--run", "runs", "--baseline", "b.json"])
        .exits(0);
}

#[test]
fn runs_of_another_commit_or_command_are_not_gone_on_with() {
    let place = Place::new();
    let script = measure(&place);
    let git = |words: &[&str]| {
        let name = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
        let mut command = Command::new("git");
        command.args(name).args(words).current_dir(place.path("."));
        assert!(command.output().unwrap().status.success(), "{words:?}");
    };
    let commit = ["commit", "--quiet", "--allow-empty", "--message=a"];
    git(&["init", "--quiet"]);
    fs::write(place.path("followed"), "").unwrap();
    git(&["add", "followed"]);
    git(&commit);
    let run = |out: &str, script: &str| {
        place.compare(&[
            "run", "--times", "1", "--out", out, "--", "sh", "-c", script,
        ])
    };
    run("runs", &script).exits(0);
    run("runs", &script).exits(0);
    run("runs", &format!("true && {script}")).breaks("runs/1", "another command");
    fs::write(place.path("followed"), "changed").unwrap();
    run("runs", &script).breaks("runs", "with other changes");
    git(&[&commit[..], &["--all"]].concat());
    run("runs", &script).breaks("runs/1", "another commit");
    run("others", &script).exits(0);
    place.baseline(&[bench("a", 1000.0)]);
    let check = ["check", "--baseline", "b.json", "--run", "runs", "others"];
    place
        .compare(&check)
        .breaks("", "the runs are of two commits");
}

/// Whatever has the name of a run is one of the same series, however few are asked for.
#[test]
fn a_series_is_of_one_machine_and_one_compiler_and_of_runs_alone() {
    let place = Place::new();
    let script = measure(&place);
    let run = |times| {
        let run = ["run", "--times", times, "--out", "runs", "--", "sh", "-c"];
        place.compare(&[&run[..], &[script.as_str()]].concat())
    };
    run("3").exits(0);
    let path = place.path("runs/3/host.json");
    let noted = fs::read_to_string(&path).unwrap();
    let mut updated: Value = serde_json::from_str(&noted).unwrap();
    updated["toolchain"] = json!("rustc 1.0.0");
    let mut moved: Value = serde_json::from_str(&noted).unwrap();
    moved["host"]["kernel"] = json!("2.6.32");
    for (record, cause) in [(updated, "another compiler"), (moved, "another machine")] {
        fs::write(&path, record.to_string()).unwrap();
        for times in ["1", "4"] {
            run(times).breaks("runs/3", cause);
        }
    }
    fs::remove_file(&path).unwrap();
    run("3").breaks("runs/3", "no host.json");
    fs::write(&path, noted).unwrap();
    let ran = run("1").exits(0);
    assert!(ran.out.contains("already holds 3 runs"), "{}", ran.out);
}

/// A tree that is edited while runs are made gives no clean baseline.
#[test]
fn runs_know_what_became_of_the_tree_under_them() {
    let place = Place::new();
    let script = measure(&place);
    let git = "git -c user.name=a -c user.email=a@localhost";
    let commit = format!("{git} commit --quiet --all --allow-empty --message=a");
    let begin = format!("git init --quiet && echo 1 >followed && git add followed && {commit}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &begin]).current_dir(place.path("."));
    assert!(shell.output().unwrap().status.success());
    let run = |out: &str, then: &str| {
        let script = format!("{script}; {then}");
        let run = [
            "run", "--times", "2", "--out", out, "--", "sh", "-c", &script,
        ];
        place.compare(&run)
    };
    let dirty = |run: &str| {
        let record = fs::read(place.path(run).join("host.json")).unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["dirty"].clone()
    };
    run("clean", "true").exits(0);
    run("edited", "echo 2 >followed").exits(0);
    let all = ["clean/1", "clean/2", "edited/1", "edited/2"].map(dirty);
    assert_eq!(all, [false, false, true, true].map(Value::from));
    run("moved", &commit).breaks("git checkout", "the work tree is at");
    assert!(!place.path("moved/1").exists());

    // Stopped, edited, and gone on with.
    run("gone-on", "true").exits(0);
    fs::remove_dir_all(place.path("gone-on/2")).unwrap();
    fs::write(place.path("Cargo.lock"), "brought up to date").unwrap();
    run("gone-on", "true").exits(0);
    fs::remove_dir_all(place.path("gone-on/2")).unwrap();
    fs::write(place.path("followed"), "3").unwrap();
    run("gone-on", "true").breaks("gone-on", "with other changes");

    // Edited while they were made.
    let count = "echo . >>count; wc -l <count >followed";
    run("meanwhile", count).exits(0);
    let check = ["check", "--baseline", "b.json", "--run"];
    let verdict = |runs: &str| place.compare(&[&check[..], &[runs]].concat()).out;
    fs::create_dir(place.path("base")).unwrap();
    let refresh = ["refresh", "--allow-dirty", "--out", "b.json", "--run"];
    for k in 1..=5 {
        let from = place.path(&format!("clean/{}", 1 + k % 2));
        let to = place.path(&format!("base/{k}"));
        let copy = ["cp", "-r", from.to_str().unwrap(), to.to_str().unwrap()];
        assert!(
            Command::new(copy[0])
                .args(&copy[1..])
                .status()
                .unwrap()
                .success()
        );
    }
    place.compare(&[&refresh[..], &["base"]].concat()).exits(0);
    assert!(verdict("meanwhile").contains("may not be of one program"));
    assert!(!verdict("clean").contains("may not be of one program"));
}

/// Neither of them would be anybody's.
#[test]
fn two_series_do_not_mix() {
    let place = Place::new();
    let script = measure(&place);
    fs::create_dir_all(place.path("runs")).unwrap();
    let run = [
        "run", "--times", "1", "--out", "runs", "--", "sh", "-c", &script,
    ];
    let held = fs::File::open(place.path("runs")).unwrap();
    held.lock().unwrap();
    place
        .compare(&run)
        .breaks("runs", "another run measures into it");
    drop(held);
    // What was begun and not ended is in nobody's way, though somebody still writes to it.
    let left = place.path("runs/1.4711.partial");
    fs::create_dir(&left).unwrap();
    let script = format!("test ! -e runs/1.4711.partial && {script} && mkdir runs/1.4711.partial");
    place
        .compare(&[
            "run", "--times", "1", "--out", "runs", "--", "sh", "-c", &script,
        ])
        .exits(0);
    assert!(place.path("runs/1/host.json").is_file() && left.is_dir());
}

#[test]
fn a_command_that_fails_or_measures_nothing_is_said() {
    let place = Place::new();
    let run = |command: &[&str]| {
        place.compare(&[&["run", "--times", "2", "--out", "runs", "--"], command].concat())
    };
    run(&["sh", "-c", "echo because >&2; exit 7"]).breaks("exit status: 7", "because");
    // What it measured before it failed is no run.
    let half = format!("{}; exit 7", measure(&place));
    run(&["sh", "-c", &half]).breaks("exit status: 7", "measured");
    place
        .compare(&["check", "--run", "runs"])
        .breaks("runs: holds only a run", ".partial/output.log");
    run(&["true"]).breaks(".partial", "holds no benchmarks");
    run(&["no-such-program"]).breaks("no-such-program", "No such file");
    assert!(!place.path("runs/1").exists());
}
