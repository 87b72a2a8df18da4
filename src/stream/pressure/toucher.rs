//! A process of the load: it touches pages of its own file at random.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fastrand::Rng;
use rustix::fs::{Advice, fadvise};

use super::PressureArgs;
use super::groups::{Groups, Rank};
use super::load::{PAGE, write_number};
use crate::host::Obstacle;

const MB: u64 = 1_000_000;

/// A process of the load.
pub(super) struct Toucher {
    pub(super) process: Child,
    pub(super) progress: File,
}

impl Toucher {
    pub(super) fn start(
        args: &PressureArgs,
        groups: &Groups,
        rank: Rank,
        file: &Path,
    ) -> Result<Self, Obstacle> {
        let pages = args.touched * MB / PAGE;
        let [progress, kept] = ["progress", "pages"].map(|name| file.with_extension(name));
        let prepare = || -> io::Result<File> {
            // Its pages must be the group's, and not of who wrote them.
            let mut data = File::create(file)?;
            let mut rng = Rng::new();
            let mut page = vec![0; PAGE as usize];
            for _ in 0..pages {
                rng.fill(&mut page);
                data.write_all(&page)?;
            }
            data.sync_all()?;
            fadvise(&data, 0, None, Advice::DontNeed)?;
            write_number(&File::create(&kept)?, pages)?;
            let open = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&progress)?;
            write_number(&open, 0)?;
            Ok(open)
        };
        let open = prepare().map_err(|error| broken(&error))?;
        let mut process = this_program("load")?
            .arg("--file")
            .arg(file)
            .arg("--progress")
            .arg(progress)
            .arg("--pages")
            .arg(kept)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| broken(&error))?;
        let go = process.stdin.take();
        let toucher = Self {
            process,
            progress: open,
        };
        groups.join(rank, toucher.process.id())?;
        if let Some(mut go) = go {
            go.write_all(b"\n").map_err(|error| broken(&error))?;
        }
        Ok(toucher)
    }
}

impl Drop for Toucher {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program in one of its parts.
pub(super) fn this_program(part: &str) -> Result<Command, Obstacle> {
    let program = std::env::current_exe().map_err(|error| broken(&error))?;
    let mut command = Command::new(program);
    command.args(["pressure-part", part]);
    Ok(command)
}

pub(super) fn broken(error: &io::Error) -> Obstacle {
    Obstacle::new(
        format!("the load or the monitor failed: {error}"),
        "see that --dir has room, and run this as root",
    )
}
