//! Programs that a test writes and then starts.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes `path`, and the directories above it, a program of these bytes.
///
/// Another process writes it. Had this one had it open, so might a child that another test
/// forks at that moment, and whoever starts it then is told "Text file busy".
pub fn program(path: &Path, contents: impl AsRef<[u8]>) {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).unwrap();
    }
    let mut writer = Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = writer.stdin.take().unwrap();
    pipe.write_all(contents.as_ref()).unwrap();
    drop(pipe);
    assert!(writer.wait().unwrap().success(), "{}", path.display());
}
