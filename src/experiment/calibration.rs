//! Whether a cost that is known comes back as what it is.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Failure, Timer};
use crate::instrument::Spinner;
use crate::schema::overhead::Calibration;
use crate::stats::{CONFIDENCE, median_interval, slope};
use crate::workload::Getppid;

/// The known costs, in nanoseconds.
const SPINS: [u32; 5] = [0, 250, 500, 1000, 2000];
/// Long enough for hundreds of calls, short enough that a machine's drift does
/// not tell one spin from another.
const STRETCH: Duration = Duration::from_millis(2);

/// Has a program spin in `getppid` for each known time in turn, in random
/// order, and fits a line through what it adds in each round.
pub fn calibrate(pid: u32, length: Duration, seed: u64) -> Result<Calibration, Failure> {
    let mut spinner = Spinner::start(pid)?;
    let mut workload = Getppid;
    let mut rng = Rng::with_seed(seed);
    let timer = Timer::new(&mut workload)?;
    let mut slopes = Vec::new();
    let mut added: [Vec<f64>; SPINS.len()] = Default::default();
    let begin = Instant::now();
    while slopes.len() < 16 || begin.elapsed() < length {
        let mut order: Vec<usize> = (0..SPINS.len()).collect();
        rng.shuffle(&mut order);
        let mut took = [0.0; SPINS.len()];
        for place in order {
            spinner.set(Duration::from_nanos(SPINS[place].into()))?;
            timer.settle(&mut workload, STRETCH / 4)?;
            took[place] = timer.batches(&mut workload, STRETCH)?.1;
        }
        let points: Vec<(f64, f64)> = SPINS.iter().map(|&s| s.into()).zip(took).collect();
        slopes.extend(slope(&points, CONFIDENCE).map(|line| line.est));
        for (all, this) in added.iter_mut().zip(took) {
            all.push(this - took[0]);
        }
    }
    let interval = |values: &[f64]| {
        median_interval(values, CONFIDENCE)
            .ok_or_else(|| Failure::Harness("too few rounds to calibrate".into()))
    };
    let points = SPINS
        .iter()
        .zip(&added)
        .map(|(&spin, values)| Ok((spin, interval(values)?)))
        .collect::<Result<_, Failure>>()?;
    Ok(Calibration {
        slope: interval(&slopes)?,
        points,
        verdict: None,
    })
}
