//! `workflow check` and `workflow run`: see README.md.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Parser, Subcommand};
use probecost::schema::Exit;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use workflow::file::Workflow;
use workflow::run::{Ended, Place, run};
use workflow::{flaws, plan};

/// Proves the workflows by running them here.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand)]
enum Sub {
    /// Resolves every expression of the files, and looks for flaws; runs nothing
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Runs every step of every job in a clean clone of the commit
    Run {
        /// The file
        file: PathBuf,
        /// What starts it
        #[arg(long, default_value = "push")]
        event: String,
        /// Only this job
        #[arg(long)]
        job: Option<String>,
        /// An input, as it would be given by hand
        #[arg(long = "input", value_name = "NAME=VALUE", value_parser = answer)]
        inputs: Vec<(String, String)>,
        /// The repository
        #[arg(long, default_value = ".")]
        repository: PathBuf,
        /// Where roots of containers are kept
        #[arg(long, default_value = "target/workflow")]
        cache: PathBuf,
    },
}

fn answer(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an input is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let exit = match Arguments::parse().command {
        Sub::Check { files } => check(&files),
        Sub::Run {
            file,
            event,
            job,
            inputs,
            repository,
            cache,
        } => Workflow::read(&file)
            .and_then(|workflow| {
                let place = Place {
                    repository,
                    cache: std::path::absolute(cache).map_err(|e| e.to_string())?,
                    event,
                    answers: inputs,
                    job,
                    interrupted: signalled().map_err(|e| e.to_string())?,
                };
                run(&workflow, &place)
            })
            .map(|ended| match ended {
                Ended::Well => Exit::Passed,
                Ended::NeedsGithub => Exit::Undecided,
                Ended::Badly => Exit::Failed,
            }),
    };
    exit.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        Exit::Broken
    })
    .into()
}

/// Is set by Ctrl-C and by a polite kill; a second one ends the process.
fn signalled() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the flag unset, and sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn check(files: &[PathBuf]) -> Result<Exit, String> {
    let mut exit = Exit::Passed;
    for path in files {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let workflow = Workflow::read(path)?;
        let mut found = flaws::flaws(&workflow, &text);
        found.extend(plan::check(&workflow, std::path::Path::new(".")));
        for flaw in &found {
            println!("{}: {flaw}", path.display());
        }
        if !found.is_empty() {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}
