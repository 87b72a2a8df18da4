//! The load, through its executable.

#![cfg(feature = "agent")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use probecost::load::{Behaviour, Server, Stall};
use probecost::schema::Outcome;
use probecost::schema::load::{Load, RequestError};
use probecost::schema::monitor::MonitorReport;

#[path = "support/port.rs"]
mod port;

use port::Port;

fn load(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probecost"))
        .arg("load")
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs it, and reads what it left; its exit code beside.
fn loaded(arguments: &[&str]) -> (Load, Option<i32>) {
    let out = tempfile::tempdir().unwrap();
    let output = load(out.path(), &[arguments, &["--format", "json"]].concat());
    let said: Load = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let left = std::fs::read(out.path().join("latest/load.json")).unwrap();
    let left: Load = serde_json::from_slice(&left).unwrap();
    assert_eq!(left, said);
    assert!(out.path().join("latest/host.json").exists());
    (said, output.status.code())
}

/// A server that answers each request with `answer` after `pause`.
fn server(answer: &'static str, pause: Duration) -> String {
    counting_server(answer, pause).0
}

/// The same; how many it has answered, beside.
fn counting_server(answer: &'static str, pause: Duration) -> (String, Arc<AtomicU64>) {
    let answered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&answered);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                    std::thread::sleep(pause);
                    let _ = stream.write_all(answer.as_bytes());
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (url, answered)
}

#[test]
fn a_load_sends_what_was_asked_and_says_how_much_to_believe() {
    let (load, code) = loaded(&["--rate", "200", "--seconds", "1", "--connections", "40"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        (load.schema, load.connections, load.requests.due),
        (1, 40, 200)
    );
    assert_eq!((load.requests.sent, load.requests.answered), (200, 200));
    assert_eq!(load.rate.asked, Some(200.0));
    let us = load.latency_us.unwrap();
    assert!(us.min <= us.p50 && us.p50 <= us.p95 && us.p95 <= us.p99 && us.p99 <= us.max * 1.001);
    assert_eq!(load.by_second.iter().map(|s| s.due).sum::<u64>(), 200);
    let few = load.notes.iter().find(|note| note.contains("too few"));
    assert!(
        few.is_some_and(|note| note.contains("leave 2 beyond the p99")),
        "{:?}",
        load.notes
    );
}

#[test]
fn a_ladder_has_a_knee_or_says_why_not() {
    let (load, _) = loaded(&["--ladder", "--seconds", "0.2", "--connections", "2"]);
    assert_eq!(load.ladder.len(), 11);
    let up = load.ladder.iter().take_while(|rung| rung.kept_up).last();
    assert_eq!(load.knee, up.and_then(|rung| rung.rate.asked));
    let asked = load.ladder.iter().map(|rung| rung.rate.asked.unwrap());
    assert!(asked.is_sorted());
}

#[test]
fn a_rate_that_cannot_be_reached_is_said() {
    let url = server(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Duration::from_millis(40),
    );
    let arguments = [
        "--url",
        &url,
        "--rate",
        "100",
        "--seconds",
        "0.6",
        "--connections",
        "2",
    ];
    let (load, code) = loaded(&arguments);
    assert_eq!((code, load.outcome), (Some(3), Outcome::Inconclusive));
    assert!(load.rate.reached < 60.0, "{:?}", load.rate);
    assert!(
        load.notes[0].contains("of 100 requests a second"),
        "{:?}",
        load.notes
    );
}

#[test]
fn failed_requests_fail_the_load() {
    let url = server(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        Duration::ZERO,
    );
    let (load, code) = loaded(&["--url", &url, "--rate", "100", "--seconds", "0.3"]);
    assert_eq!(load.requests.errors.get(&RequestError::Status), Some(&30));
    // Nothing that counts was answered.
    assert_eq!((code, load.latency_us), (Some(2), None));
}

#[test]
fn the_server_may_be_a_process_of_its_own() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let mut serving = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["load", "--serve", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    let stdout = serving.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let url = format!("{}item/{{id}}", url.trim());
    let out = tempfile::tempdir().unwrap();
    let load = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["load", "--url", &url, "--rate", "100", "--seconds", "1.5"])
        .args(["--pid", &serving.id().to_string(), "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    serving.kill().unwrap();
    serving.wait().unwrap();
    let text = String::from_utf8(load.stdout).unwrap();
    assert_eq!(load.status.code(), Some(0), "{text}");
    assert!(text.contains("150 answered, no errors"), "{text}");
    // Watched from the load's beginning to its end, and no longer.
    let left = std::fs::read(out.path().join("latest/monitor.json")).unwrap();
    let watched: MonitorReport = serde_json::from_slice(&left).unwrap();
    assert!(
        watched.command.contains(&"--serve".to_owned()),
        "{watched:?}"
    );
    assert_eq!(watched.samples.len(), 2, "{watched:?}");
    let taken = watched.totals;
    // All but those of threads that had ended by the last look.
    assert!(taken.voluntary_switches >= 60, "it answered: {taken:?}");
    assert!(
        text.contains("--serve") && text.contains("by waiting"),
        "{text}"
    );
    for name in ["monitor.csv", "monitor.svg"] {
        assert!(out.path().join("latest").join(name).exists(), "{name}");
    }
}

/// Ctrl-C ends it, and what was measured stays.
#[test]
fn an_interrupted_load_keeps_what_it_has() {
    for more in [
        &["--rate", "100", "--seconds", "100"][..],
        &["--ladder", "--seconds", "5"],
    ] {
        let out = tempfile::tempdir().unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (url, answered) = counting_server(answer, Duration::ZERO);
        let mut child = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .args(["load", "--url", &url, "--out"])
            .arg(out.path())
            .args(more)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while answered.load(Ordering::Relaxed) < 20 {
            assert!(begin.elapsed() < Duration::from_secs(30), "it never began");
            std::thread::sleep(Duration::from_millis(10));
        }
        let latest = out.path().join("latest");
        assert!(!latest.exists(), "nothing was measured yet");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        child.wait().unwrap();
        let left = std::fs::read(latest.join("load.json")).unwrap();
        let load: Load = serde_json::from_slice(&left).unwrap();
        assert!(
            load.seconds < 50.0 && load.requests.answered > 0,
            "{load:?}"
        );
        assert!(load.notes.iter().any(|note| note.contains("interrupted")));
    }
}

#[test]
fn bad_input_is_named() {
    let out = tempfile::tempdir().unwrap();
    let port = Port::keep();
    let gone = format!("http://{}/", port.address());
    for (arguments, said) in [
        (&["--url", gone.as_str()][..], "nobody answers"),
        (&["--url", "http://192.0.2.1/"], "--remote"),
        (&["--url", "https://127.0.0.1/"], "TLS"),
        (&["--url", "http://127.0.0.1:x/"], "names no server"),
        (&["--url", gone.as_str(), "--pid", "4194305"], "no process"),
        (&["--pid", "1"], "--url"),
        (&["--rate", "0"], "from 0.1 to 1e6"),
        (&["--rate", "-1"], "from 0.1 to 1e6"),
        (&["--rate", "NaN"], "from 0.1 to 1e6"),
        (&["--seconds", "0"], "from 0.1 to 86400"),
        (&["--connections", "0"], "1..=10000"),
        (&["--scenario", "enormous"], "light, medium, heavy, stress"),
        (
            &["--scenario", "light", "--rate", "5"],
            "cannot be used with",
        ),
        (&["--out", "/proc/no"], "cannot be written"),
    ] {
        let output = match arguments[0] {
            "--out" => load(Path::new(arguments[1]), &[]),
            _ => load(out.path(), arguments),
        };
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
    }
}

/// The server stands still for 200 ms of each second. By arithmetic 1 % of all requests
/// wait longer than 190 ms: our load says so. A loop that asks again once it was answered
/// (`ab`) has a few requests in each stall beside thousands outside, and sees nothing.
#[test]
fn a_stall_that_a_closed_loop_hides_is_in_our_p99() {
    let stall = Stall {
        every: Duration::from_secs(1),
        lasting: Duration::from_millis(200),
    };
    let behaviour = Behaviour {
        stall: Some(stall),
        ..Behaviour::default()
    };
    let server = Server::start(behaviour, None).unwrap();
    // The first stall comes after a second, the last that is met after four.
    std::thread::sleep(stall.every);
    let url = format!("http://{}/", server.address());
    let (load, _) = loaded(&["--url", &url, "--rate", "400", "--seconds", "4"]);
    let expected = 200.0 * (1.0 - 0.01 / 0.2);
    let ours = load.latency_us.unwrap().p99 / 1e3;
    // Whatever else is slow only adds.
    assert!(
        expected - 40.0 < ours && ours < 2.0 * expected,
        "{ours} ms, not {expected}"
    );

    let ab = Command::new("ab")
        .args(["-k", "-q", "-c", "2", "-t", "3", "-n", "1000000", &url])
        .output();
    let Ok(ab) = ab else {
        eprintln!("skipped: ab is not installed; apt-get install apache2-utils");
        return;
    };
    let said = String::from_utf8_lossy(&ab.stdout);
    let p99 = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("99%"));
    let theirs: f64 = p99
        .unwrap_or_else(|| panic!("{said}"))
        .trim()
        .parse()
        .unwrap();
    eprintln!("p99 of ours {ours:.0} ms, of ab {theirs} ms");
    assert!(theirs < ours / 4.0, "ab: {theirs} ms, ours: {ours} ms");
}
