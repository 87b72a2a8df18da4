//! `compare selftest`: how often the gate errs, on one's own runs.

mod peers;
mod resample;

use std::path::{Path, PathBuf};

use probecost::gate::Gate;

use crate::failure::Failure;
use crate::input::{self, Reading, Run, Time};
use resample::{Collection, Figures, Plan};

/// Runs of the baseline in each resampled suite, and runs held against it.
const SIDES: (usize, usize) = (10, 5);

/// Resampled suites.
const SUITES: usize = 2000;

/// What is asked.
pub struct Trial {
    /// Runs of an unchanged program.
    pub runs: Vec<PathBuf>,
    /// Runs of it with a slowdown of so many percent planted in every benchmark.
    pub planted: Vec<Planted>,
    /// Where the resampling starts.
    pub seed: u64,
}

/// Runs with a planted slowdown: `10=DIR`.
#[derive(Debug, Clone)]
pub struct Planted {
    /// Its size in percent.
    pub percent: f64,
    /// Where the runs lie.
    pub place: PathBuf,
}

impl std::str::FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (percent, place) = text.split_once('=').ok_or("write it as PERCENT=DIR")?;
        let percent = percent
            .parse()
            .map_err(|_| format!("{percent} is no number"))?;
        Ok(Self {
            percent,
            place: place.into(),
        })
    }
}

/// Resamples suites from the runs and counts what each rule says of them.
///
/// # Errors
/// Runs that cannot be read, or too few of them.
pub fn selftest(trial: &Trial) -> Result<String, Failure> {
    let unchanged = input::load_all(&trial.runs)?;
    let needed = SIDES.0 + SIDES.1;
    if unchanged.len() < needed {
        return Err(Failure::new(format!(
            "{} unchanged runs; a resampled suite takes {needed}",
            unchanged.len()
        ))
        .remedy("cargo compare run --times 40 --out DIR -- cargo bench"));
    }
    let ids = common_ids(&unchanged);
    if ids.is_empty() {
        return Err(Failure::new("no benchmark is in all of the unchanged runs"));
    }
    let planted = trial
        .planted
        .iter()
        .map(|planted| {
            let runs = input::load_all(std::slice::from_ref(&planted.place))?;
            if runs.len() < SIDES.1 {
                let cause = format!("{} runs; a resampled suite takes {}", runs.len(), SIDES.1);
                return Err(Failure::at(&planted.place, cause));
            }
            Ok((planted.percent, times(&runs, &ids, &planted.place)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let collection = Collection {
        unchanged: times(&unchanged, &ids, &unchanged[0].place)?,
        planted,
    };
    let plan = Plan {
        sides: SIDES,
        suites: SUITES,
        seed: trial.seed,
        gate: Gate::shipped(),
    };
    let figures = resample::resample(&collection, &plan);
    Ok(render(&figures, &ids, &collection))
}

/// The ids of times that all runs have.
fn common_ids(runs: &[Run]) -> Vec<String> {
    let timed = |run: &Run, id: &str| matches!(run.readings.get(id), Some(Reading::Time(_)));
    let first = runs
        .first()
        .map(|r| r.readings.keys().cloned())
        .into_iter()
        .flatten();
    first
        .filter(|id| runs.iter().all(|run| timed(run, id)))
        .collect()
}

/// Times by run, then by id.
fn times(runs: &[Run], ids: &[String], place: &Path) -> Result<Vec<Vec<Time>>, Failure> {
    let of = |run: &Run, id: &String| match run.readings.get(id) {
        Some(Reading::Time(time)) => Ok(*time),
        _ => Err(Failure::at(
            place,
            format_args!("a run in it has no time of `{id}`"),
        )),
    };
    runs.iter()
        .map(|run| ids.iter().map(|id| of(run, id)).collect())
        .collect()
}

/// Markdown tables, which a terminal shows as well.
fn render(figures: &Figures, ids: &[String], collection: &Collection) -> String {
    let (old, new) = SIDES;
    let mut text = format!(
        "{} benchmarks, {} unchanged runs; suites of {old} runs against {new}, {SUITES} drawn at random, {} in order of time\n\n",
        ids.len(),
        collection.unchanged.len(),
        figures.in_order,
    );
    let mut head = vec![
        "rule".to_owned(),
        "suites with a false alarm".into(),
        "the same in order of time".into(),
    ];
    head.extend(figures.sizes.iter().map(|size| format!("{size} found")));
    text += &line(&head);
    text += &line(
        &["--".to_owned(), "--:".into(), "--:".into()]
            .into_iter()
            .chain(figures.sizes.iter().map(|_| "--:".to_owned()))
            .collect::<Vec<_>>(),
    );
    for rule in &figures.rules {
        let mut cells = vec![
            rule.name.to_owned(),
            share(rule.false_alarms),
            share(rule.false_in_order),
        ];
        cells.extend(rule.found.iter().map(|f| share(*f)));
        text += &line(&cells);
    }
    text += "\nBy benchmark, this gate only:\n\n";
    let mut head = vec![
        "benchmark".to_owned(),
        "spread of runs".into(),
        "false alarms".into(),
    ];
    head.extend(figures.sizes.iter().map(|size| format!("{size} found")));
    text += &line(&head);
    text += &line(
        &["--".to_owned(), "--:".into(), "--:".into()]
            .into_iter()
            .chain(figures.sizes.iter().map(|_| "--:".to_owned()))
            .collect::<Vec<_>>(),
    );
    for (id, row) in ids.iter().zip(&figures.rows) {
        let mut cells = vec![
            id.clone(),
            format!("{:.1} %", 100.0 * row.spread),
            share(row.false_alarms),
        ];
        cells.extend(row.found.iter().map(|f| share(*f)));
        text += &line(&cells);
    }
    text += &format!(
        "\n\"×\" sizes are multiplied into unchanged runs; the others were planted and run. One benchmark is \
         slowed down at a time. The suites share {} runs, so the rates are less exact than their number suggests.\n",
        collection.unchanged.len()
    );
    text
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn share(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
