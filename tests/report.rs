//! `probecost report`, whole, and its page in a real browser.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const CHROMIUM: &str = "/usr/bin/chromium";

fn report(results: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    command.arg("report").arg(results).arg("--out").arg(out);
    command.output().unwrap()
}

/// Results with everything that a page has to bear: long names, long reasons, no value.
fn results(directory: &Path) {
    let row = |name: &str, verdict: &str, reason: &str| {
        json!({"name": name, "measure": "pull_ratio", "unit": "ratio", "limit": 0.7,
               "bound": "at_most", "verdict": verdict, "reason": reason,
               "value": {"est": 0.5123, "lo": 0.4711, "hi": 0.6099}})
    };
    let words = "a_name_without_any_place_to_break_".repeat(6);
    for (day, est) in [(1, 41.0), (2, 43.5)] {
        let soak = json!({"schema": 1,
            "provenance": {"date": format!("2026-11-0{day}T10:00:00Z"), "commit": "abc"},
            "checks": [{"measure": "memory_mb", "limit": 100.0, "verdict": "pass",
                        "measured": {"est": est, "lo": est - 1.25, "hi": est + 1.25}}],
            "samples": [{"at_s": 0.0, "rate": 1.0}, {"at_s": 1.0, "rate": 9.0},
                        {"at_s": 2.0, "rate": 4.0}]});
        write(&directory.join(format!("{day}/soak.json")), &soak);
    }
    let image = json!({"schema": 1, "rows": [
        row("erofs / tar, 50 MB", "pass", ""),
        row(&words, "fail", &"takes more time than it may; ".repeat(8)),
        {"name": "skipped", "verdict": "skipped", "reason": "cannot be done here"},
        {"name": "asked of nothing", "verdict": "pass"}]});
    write(&directory.join("image.json"), &image);
    write(&directory.join("foreign.json"), &json!({"anything": 1}));
}

fn write(path: &Path, document: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn the_page_says_how_everything_stands() {
    let all = tempfile::tempdir().unwrap();
    results(&all.path().join("results"));
    let output = report(&all.path().join("results"), &all.path().join("out"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in [
        "**FAILED**",
        "**ON TRACK**",
        "+6.1 %",
        "0.471 – 0.610",
        "1 JSON files",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("asked of nothing"), "{text}");
    for name in ["report.json", "report.md", "report.html"] {
        assert!(all.path().join("out").join(name).exists(), "{name}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_probecost"));
    let output = command
        .args(["report", ".", "--since", "yesterday"])
        .output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("a day such as 2026-11-14"), "{error}");
    let nothing = tempfile::tempdir().unwrap();
    let output = report(nothing.path(), &all.path().join("none"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("no result lies in"), "{error}");
}

/// What a browser makes of the page with `script` at its end.
fn browsed(page: &str, script: &str, width: u32) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    // Chromium has no window as narrow as a phone: a frame is.
    let inner = page.replace("</body>", &format!("<script>{script}</script></body>"));
    fs::write(directory.path().join("inner.html"), inner).unwrap();
    let frame = format!(
        "<body style='margin:0'><iframe src='inner.html' style='border:0;width:{width}px;height:900px'>\
         </iframe><script>onmessage=e=>{{document.title=e.data;\
         document.body.textContent='said:'+e.data+':end'}}</script>"
    );
    fs::write(&file, frame).unwrap();
    let mut browser = Command::new(CHROMIUM);
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=3000",
        "--window-size=1500,1000",
        "--dump-dom",
    ]);
    let profile = directory.path().join("profile");
    browser.arg(format!("--user-data-dir={}", profile.display()));
    let output = browser
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = dom
        .split("said:")
        .last()
        .and_then(|rest| rest.split(":end").next());
    said.unwrap_or_else(|| panic!("nothing said: {dom}"))
        .to_owned()
}

#[test]
fn in_a_browser_nothing_overflows() {
    if !Path::new(CHROMIUM).exists() {
        assert!(
            std::env::var_os("PROBECOST_REQUIRE_BROWSER").is_none(),
            "there is no {CHROMIUM}"
        );
        eprintln!("skipped: there is no {CHROMIUM}; apt-get install chromium");
        return;
    }
    let all = tempfile::tempdir().unwrap();
    results(&all.path().join("results"));
    report(&all.path().join("results"), &all.path().join("out"));
    let page = fs::read_to_string(all.path().join("out/report.html")).unwrap();
    let widest = "let w=document.documentElement;let out=[...document.querySelectorAll('body *')]\
         .filter(e=>e.getBoundingClientRect().right>innerWidth+1&&!e.closest('thead'))\
         .map(e=>e.tagName).slice(0,5).join(' ');\
         parent.postMessage(`${w.scrollWidth<=innerWidth} at ${innerWidth} ${out}`,'*')";
    for width in [400, 1400] {
        let said = browsed(&page, widest, width);
        assert_eq!(said.trim(), format!("true at {width}"), "at {width} pixels");
    }
}

#[test]
fn every_number_on_the_page_is_in_its_json() {
    let all = tempfile::tempdir().unwrap();
    results(&all.path().join("results"));
    report(&all.path().join("results"), &all.path().join("out"));
    let out = all.path().join("out");
    let json = fs::read_to_string(out.join("report.json")).unwrap();
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    let body = html.split("</header>").nth(1).unwrap();
    let shown = numbers(&without_tags(body));
    let known = numbers(&json);
    // How sure an interval is stands in the head of each table.
    let unknown: Vec<_> = shown.difference(&known).filter(|n| *n != "99").collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(
        shown.contains("0.512") && shown.contains("43.5"),
        "{shown:?}"
    );
}

fn without_tags(html: &str) -> String {
    let pieces = html.split('<').filter_map(|piece| piece.split_once('>'));
    pieces.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

fn numbers(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let words = words.map(|word| word.trim_matches('.'));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
