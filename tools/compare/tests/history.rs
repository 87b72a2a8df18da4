//! `history` from end to end: repositories made to measure, and what it finds in them.

mod support;

use std::fs;

use git2::{Oid, Repository, Signature, Time};
use probecost::host::Host;
use serde_json::{Value, json};
use support::{Place, Ran, golden, host};

/// A repository with a baseline in it, in a directory of its own. Its work tree is empty, and
/// its commits have the same names every time.
struct History {
    place: Place,
    git: Repository,
}

impl History {
    fn new() -> Self {
        let place = Place::new();
        let git = Repository::init(place.path("")).unwrap();
        Self { place, git }
    }

    /// Commits `b.json` with this content on top of these parents, and says its name.
    fn commit_on(&self, parents: &[Oid], text: &str) -> Oid {
        self.commit_file("b.json", parents, text)
    }

    fn commit_file(&self, name: &str, parents: &[Oid], text: &str) -> Oid {
        let parents: Vec<_> = parents
            .iter()
            .map(|p| self.git.find_commit(*p).unwrap())
            .collect();
        let before = parents.first().map(|p| p.tree().unwrap());
        let mut tree = self.git.treebuilder(before.as_ref()).unwrap();
        let blob = self.git.blob(text.as_bytes()).unwrap();
        tree.insert(name, blob, 0o100644).unwrap();
        let tree = self.git.find_tree(tree.write().unwrap()).unwrap();
        let who = Signature::new("a", "a@example.org", &Time::new(1_600_000_000, 0)).unwrap();
        let parents: Vec<_> = parents.iter().collect();
        let commit = self.git.commit(None, &who, &who, "x", &tree, &parents);
        commit.unwrap()
    }

    fn head(&self) -> Option<Oid> {
        self.git.head().ok()?.target()
    }

    /// Moves the branch to this commit.
    fn set_head(&self, commit: Oid) {
        let name = self.git.find_reference("HEAD").unwrap();
        let name = name.symbolic_target().unwrap().unwrap().to_owned();
        self.git.reference(&name, commit, true, "test").unwrap();
    }

    /// Commits `b.json` with this content, and says the commit's name.
    fn commit(&self, text: &str) -> String {
        let parents: Vec<Oid> = self.head().into_iter().collect();
        let commit = self.commit_on(&parents, text);
        self.set_head(commit);
        commit.to_string()
    }

    /// A commit of another file.
    fn commit_other(&self, text: &str) -> String {
        let parents: Vec<Oid> = self.head().into_iter().collect();
        let commit = self.commit_file("main.rs", &parents, text);
        self.set_head(commit);
        commit.to_string()
    }

    fn run(&self, more: &[&str]) -> Ran {
        let arguments = ["history", "--baseline", "b.json"];
        self.place.compare(&[&arguments, more].concat())
    }

    /// What it says as JSON.
    fn json(&self) -> Value {
        self.run(&["--format", "json"]).exits(0).json()
    }
}

/// A session on day `day` of 2024, and the value that its five runs lie around for each
/// benchmark.
struct Session<'a> {
    day: i64,
    why: &'a str,
    values: &'a [(&'a str, f64)],
}

fn session<'a>(day: i64, why: &'a str, values: &'a [(&'a str, f64)]) -> Session<'a> {
    Session { day, why, values }
}

/// A baseline file with these sessions.
fn baseline(sessions: &[Session]) -> String {
    with_host(sessions, &host(), "rustc 1.90.0")
}

fn with_host(sessions: &[Session], host: &Value, toolchain: &str) -> String {
    let first: jiff::Timestamp = "2024-01-01T12:00:00Z".parse().unwrap();
    let record = |s: &Session| {
        json!({
            "date": first + jiff::SignedDuration::from_hours(24 * s.day), "runs": 5,
            "commit": "c0ffee", "dirty": false, "toolchain": toolchain, "why": s.why,
        })
    };
    let ids = sessions.iter().flat_map(|s| s.values).map(|(id, _)| id);
    let benchmark = |id: &&str| {
        let runs = |s: &Session| match s.values.iter().find(|(known, _)| known == id) {
            Some((_, value)) => [1.0, 0.99, 1.01, 0.98, 1.02].map(|f| json!(f * value)),
            None => [(); 5].map(|()| Value::Null),
        };
        let table: Vec<_> = sessions.iter().map(runs).collect();
        (
            id.to_string(),
            json!({"unit": "ns", "median": table, "p10": table}),
        )
    };
    let benchmarks: serde_json::Map<_, _> = ids.map(benchmark).collect();
    let sessions: Vec<_> = sessions.iter().map(record).collect();
    json!({"schema": 1, "host": host, "sessions": sessions, "benchmarks": benchmarks}).to_string()
}

#[track_caller]
fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value}"))
}

/// The benchmark of this id.
#[track_caller]
fn benchmark<'a>(timeline: &'a Value, id: &str) -> &'a Value {
    let known = array(&timeline["benchmarks"]);
    let found = known.iter().find(|b| b["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {timeline}"))
}

/// Normal noise with one outlier in twenty.
fn noise(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
    let outlier = if rng.f64() < 0.05 {
        0.5 * rng.f64()
    } else {
        0.0
    };
    (0.02 * normal).exp() * (1.0 + outlier)
}

#[test]
fn a_planted_step_is_found_at_its_commit_and_no_other() {
    const STEP: i64 = 120;
    let history = History::new();
    let ids = [
        "one", "two", "three", "four", "five", "six", "seven", "eight",
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    let mut planted = String::new();
    for day in 0..200 {
        let values = ids.map(|id| {
            let step = if id == "three" && day >= STEP {
                1.1
            } else {
                1.0
            };
            (id, 1000.0 * step * noise(&mut rng))
        });
        let why = if day == STEP {
            "a slower way"
        } else {
            "weekly"
        };
        let commit = history.commit(&baseline(&[session(day, why, &values)]));
        history.commit_other(&day.to_string());
        if day == STEP {
            planted = commit;
        }
    }
    let timeline = history.json();
    assert_eq!(array(&timeline["refreshes"]).len(), 200);
    let found: Vec<(&Value, &Value, &Value)> = array(&timeline["benchmarks"])
        .iter()
        .flat_map(|b| {
            array(&b["change_points"])
                .iter()
                .map(move |c| (&b["id"], c))
        })
        .map(|(id, change)| (id, &change["commit"], &change["why"]))
        .collect();
    assert_eq!(
        found,
        [(&json!("three"), &json!(planted), &json!("a slower way"))]
    );
    let three = benchmark(&timeline, "three");
    let size = three["change_points"][0]["change_pct"].as_f64().unwrap();
    assert!((size - 10.0).abs() < 1.5, "{size}");
    assert_eq!(three["change_points"][0]["refresh"], STEP);
    assert_eq!(three["levels"][0]["to"], STEP - 1);
    // And it is what the table begins with.
    assert_eq!(timeline["benchmarks"][0]["id"], "three");
}

/// Eight refreshes: one benchmark slower from the fifth on, one that ends, one that begins.
fn small() -> History {
    let history = History::new();
    let wobble = [0.3, -0.5, 0.1, 0.7, -0.2, 0.4, -0.6, 0.2];
    for (day, wobble) in (0..8).zip(wobble) {
        let near = |value: f64| value * (1.0 + wobble / 100.0);
        let step = if day < 4 { 1.0 } else { 1.25 };
        let mut values = vec![
            ("open/event", near(1234.0 * step)),
            ("sort", near(90_000.0)),
        ];
        if day < 6 {
            values.push(("hash", near(55.0)));
        }
        if day >= 2 {
            values.push(("walk", near(7.7e6)));
        }
        let why = match day {
            4 => "events carry\nthe command name",
            6 => "hash is no more",
            _ => "weekly",
        };
        let toolchain = if day < 4 {
            "rustc 1.90.0"
        } else {
            "rustc 1.91.0"
        };
        history.commit(&with_host(
            &[session(7 * day, why, &values)],
            &host(),
            toolchain,
        ));
    }
    history
}

#[test]
fn the_table_is_what_it_was() {
    golden("history.txt", &small().run(&[]).exits(0).out);
}

#[test]
fn the_json_is_what_it_was() {
    golden(
        "history.json",
        &small()
            .run(&["--format", "json", "--only", "hash|event"])
            .exits(0)
            .out,
    );
}

/// The names of the elements that are open at each point, checked to close in order.
#[track_caller]
fn well_formed(html: &str) {
    let mut open = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let (text, markup) = rest.split_at(start);
        entities(text);
        let end = markup.find('>').expect("a tag that ends");
        let tag = &markup[1..end];
        let name = |tag: &str| tag.split([' ', '\n']).next().unwrap().to_owned();
        assert!(!tag.contains('<'), "{tag}");
        entities(tag);
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "at {tag}"),
            None if tag.ends_with('/') => {}
            None => open.push(name(tag)),
        }
        rest = &markup[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
}

#[track_caller]
fn entities(text: &str) {
    for part in text.split('&').skip(1) {
        let known = ["#38;", "#60;", "#62;", "#34;", "#39;"];
        assert!(known.iter().any(|e| part.starts_with(e)), "&{part}");
    }
}

#[test]
fn the_page_is_whole_and_nothing_in_it_comes_from_outside() {
    let history = small();
    let ran = history
        .run(&["--format", "html", "--out", "page.html"])
        .exits(0);
    assert_eq!(ran.out, "");
    let html = fs::read_to_string(history.place.path("page.html")).unwrap();
    well_formed(&html);
    assert_eq!(html.matches("<svg").count(), 4);
    assert_eq!(html.matches("<circle").count(), 8 + 8 + 6 + 6);
    for words in [
        "the command name",
        "+24.8 %",
        "hash is no more",
        "rustc 1.90.0 → rustc 1.91.0",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    for outside in [
        "http:", "https:", "src=", "@import", "url(", "<script", "<link",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn names_and_reasons_are_no_markup() {
    let history = History::new();
    let (id, why) = (
        r#"<b>&"x"'"#,
        r#"</title><script>alert("1")</script> & more"#,
    );
    for day in 0..8 {
        let values = [(id, if day < 4 { 100.0 } else { 200.0 } + day as f64)];
        history.commit(&baseline(&[session(day, why, &values)]));
    }
    let html = history.run(&["--format", "html"]).exits(0).out;
    well_formed(&html);
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&#60;b&#62;&#38;&#34;x&#34;&#39;"), "{html}");
    assert!(
        html.contains("&#60;script&#62;alert(&#34;1&#34;)"),
        "{html}"
    );
}

#[test]
fn what_cannot_be_read_is_a_remark_that_names_the_commit() {
    let history = History::new();
    history.commit(&baseline(&[session(0, "first", &[("a", 1.0)])]));
    let broken = [
        ("{", "not a baseline"),
        ("", "the file is empty"),
        (r#"{"schema": 2}"#, "newer version: schema 2"),
        (
            r#"{"schema": 1, "host": null, "sessions": [], "benchmarks": {}}"#,
            "it has no session",
        ),
    ]
    .map(|(text, cause)| (history.commit(text), cause));
    history.commit(&baseline(&[session(1, "last", &[("a", 2.0)])]));
    let timeline = history.json();
    let whys: Vec<_> = array(&timeline["refreshes"])
        .iter()
        .map(|r| &r["why"])
        .collect();
    assert_eq!(whys, ["first", "last"]);
    let text = history.run(&[]).exits(0).out;
    for (commit, cause) in broken {
        let named = |r: &&Value| r.as_str().unwrap().contains(&commit[..7]);
        let remark = array(&timeline["remarks"]).iter().find(named);
        let remark = remark.unwrap_or_else(|| panic!("{commit}: {timeline}"));
        assert!(remark.as_str().unwrap().contains(cause), "{remark}");
        assert!(text.contains(&commit[..7]), "{text}");
    }
}

#[test]
fn nothing_to_read_is_broken() {
    let place = Place::new();
    let ask = ["history", "--baseline", "b.json"];
    place.compare(&ask).breaks("b.json", "no git repository");
    let history = History::new();
    history.run(&[]).breaks("b.json", "git history");
    history.commit_other("x");
    history
        .run(&[])
        .breaks("b.json", "no commit up to HEAD has it");
    let commit = history.commit("{");
    history.run(&[]).breaks("b.json", &commit[..7]);
    history.commit(&baseline(&[session(0, "first", &[("a", 1.0)])]));
    history.run(&[]).exits(0);
    history
        .run(&["--only", "nothing"])
        .breaks("b.json", "--only");
    history
        .place
        .compare(&["history", "--baseline", "/b.json"])
        .breaks("/b.json", "git repository");
}

#[test]
fn of_appended_sessions_the_newest_counts() {
    let history = History::new();
    let first = session(0, "first", &[("a", 100.0), ("b", 10.0)]);
    history.commit(&baseline(&[session(
        0,
        "first",
        &[("a", 100.0), ("b", 10.0)],
    )]));
    history.commit(&baseline(&[
        first,
        session(1, "another day", &[("a", 300.0)]),
    ]));
    let timeline = history.json();
    let values = |id: &str| -> Vec<Value> {
        let points = array(&benchmark(&timeline, id)["points"]).iter();
        points.map(|p| json!([p["refresh"], p["value"]])).collect()
    };
    assert_eq!(values("a"), [json!([0, 100.0]), json!([1, 300.0])]);
    // The newest session left it out, and the baseline still has it.
    assert_eq!(values("b"), [json!([0, 10.0])]);
    assert_eq!(benchmark(&timeline, "b")["ended"], Value::Null);
}

/// Times, and counts that were appended to them before anybody committed.
#[test]
fn of_sessions_that_one_commit_brought_all_count() {
    let history = History::new();
    history.commit(&baseline(&[session(0, "oldest", &[("a", 50.0)])]));
    history.commit(&baseline(&[
        session(1, "times", &[("a", 100.0), ("b", 10.0)]),
        session(2, "counts", &[("c", 7.0)]),
    ]));
    let timeline = history.json();
    let values = |id: &str| -> Vec<Value> {
        let points = array(&benchmark(&timeline, id)["points"]).iter();
        points.map(|p| json!([p["refresh"], p["value"]])).collect()
    };
    assert_eq!(values("a"), [json!([0, 50.0]), json!([1, 100.0])]);
    assert_eq!(values("b"), [json!([1, 10.0])]);
    assert_eq!(values("c"), [json!([2, 7.0])]);
}

#[test]
fn a_point_is_the_middle_of_the_runs() {
    let history = History::new();
    history.commit(&baseline(&[session(0, "first", &[("a", 100.0)])]));
    let timeline = history.json();
    assert_eq!(
        benchmark(&timeline, "a")["points"],
        json!([{"refresh": 0, "value": 100.0, "lo": 99.0, "hi": 101.0}])
    );
}

#[test]
fn what_was_not_measured_anew_is_no_refresh() {
    let history = History::new();
    let text = |why| baseline(&[session(0, why, &[("a", 100.0)])]);
    history.commit(&text("frist"));
    history.commit(&text("first"));
    let second = baseline(&[session(1, "second", &[("a", 101.0)])]);
    history.commit(&second);
    // Reverted, and renewed again.
    history.commit(&text("first"));
    history.commit(&second);
    // What cannot be read is said once, however often it comes back.
    for text in ["{", &second, "{"] {
        history.commit(text);
    }
    let timeline = history.json();
    assert_eq!(array(&timeline["refreshes"]).len(), 2);
    let left_out = |r: &&Value| r.as_str().unwrap().contains("left out");
    let remarks = array(&timeline["remarks"]).iter().filter(left_out);
    assert_eq!(remarks.count(), 1, "{timeline}");
}

#[test]
fn a_merge_is_one_refresh_and_its_branch_none() {
    let history = History::new();
    let text = |day| baseline(&[session(day, "x", &[("a", 100.0)])]);
    history.commit(&text(0));
    let trunk = history.head().unwrap();
    let tried = history.commit_on(&[trunk], &text(1));
    let settled = history.commit_on(&[tried], &text(2));
    let merge = history.commit_on(&[trunk, settled], &text(2));
    history.set_head(merge);
    let timeline = history.json();
    let commits: Vec<_> = array(&timeline["refreshes"])
        .iter()
        .map(|r| &r["commit"])
        .collect();
    assert_eq!(
        commits,
        [&json!(trunk.to_string()), &json!(merge.to_string())]
    );
}

#[test]
fn another_unit_is_another_series() {
    let history = History::new();
    let text = |day, unit: &str| {
        let text = baseline(&[session(day, unit, &[("a", 100.0)])]);
        text.replace("\"ns\"", &format!("{unit:?}"))
    };
    history.commit(&text(0, "ns"));
    let commit = history.commit(&text(1, "instructions"));
    let timeline = history.json();
    let known: Vec<_> = array(&timeline["benchmarks"])
        .iter()
        .map(|b| (&b["unit"], &b["ended"]["commit"]))
        .collect();
    assert_eq!(
        known,
        [
            (&json!("instructions"), &Value::Null),
            (&json!("ns"), &json!(commit))
        ]
    );
}

#[test]
fn another_toolchain_or_machine_is_said() {
    let history = History::new();
    let commit = |day, kernel: &str, toolchain| {
        let mut machine = host();
        machine["kernel"] = json!(kernel);
        history.commit(&with_host(
            &[session(day, "x", &[("a", 1.0)])],
            &machine,
            toolchain,
        ));
    };
    commit(0, "6.12.1", "rustc 1.90.0");
    commit(1, "6.12.1", "rustc 1.90.0");
    commit(2, "6.12.48", "rustc 1.91.0");
    let timeline = history.json();
    let changed: Vec<_> = array(&timeline["refreshes"])
        .iter()
        .map(|r| &r["changed"])
        .collect();
    assert_eq!(
        changed,
        [
            &json!([]),
            &json!([]),
            &json!([
                "toolchain: rustc 1.90.0 → rustc 1.91.0",
                "kernel: 6.12.1 → 6.12.48"
            ])
        ]
    );
}

#[test]
fn a_shallow_clone_says_so() {
    let history = History::new();
    let commits: Vec<String> = (0..3)
        .map(|day| history.commit(&baseline(&[session(day, "x", &[("a", 1.0)])])))
        .collect();
    fs::write(
        history.git.path().join("shallow"),
        format!("{}\n", commits[1]),
    )
    .unwrap();
    // A shallow clone lacks what is older.
    let (directory, file) = commits[0].split_at(2);
    fs::remove_file(
        history
            .git
            .path()
            .join("objects")
            .join(directory)
            .join(file),
    )
    .unwrap();
    let timeline = history.json();
    assert_eq!(array(&timeline["refreshes"]).len(), 2);
    assert!(
        timeline["remarks"][0]
            .as_str()
            .unwrap()
            .contains("git fetch --unshallow")
    );
}

#[test]
fn without_a_file_it_is_that_of_this_machine() {
    let history = History::new();
    let class = Host::read().unwrap().class();
    let text = baseline(&[session(0, "first", &[("a", 1.0)])]);
    history
        .place
        .compare(&["history"])
        .breaks(&class, "refresh");
    fs::create_dir(history.place.path("baselines")).unwrap();
    let file = format!("baselines/{class}.json");
    fs::write(history.place.path(&file), &text).unwrap();
    let mut index = history.git.index().unwrap();
    index.add_path(file.as_ref()).unwrap();
    let tree = history.git.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::now("a", "a@example.org").unwrap();
    let commit = history
        .git
        .commit(Some("HEAD"), &who, &who, "x", &tree, &[]);
    commit.unwrap();
    let ran = history.place.compare(&["history"]).exits(0);
    assert!(ran.out.starts_with(&file), "{}", ran.out);
    assert!(ran.out.contains("fewer than 6 show none"), "{}", ran.out);
}
