//! What the bench targets of both sides said they have.

use std::thread;
use std::time::Duration;

use super::harness::Listing;
use super::layout::Order;
use super::pair::Pair;
use super::process::{Cpu, Patience, RunError};

/// How long one waits before a second list: a clock in an id may tick once a second.
const TICK: Duration = Duration::from_secs(1);

/// What a side's target listed: once, and where an id was found on one side only, again.
#[derive(Clone)]
pub struct Listed {
    pub first: Result<Listing, String>,
    pub again: Option<Listing>,
}

impl Listed {
    /// What was listed first.
    pub fn ids(&self) -> &[String] {
        self.first.as_ref().map_or(&[], |l| &l.ids)
    }

    /// Whether it has no benchmarks, and says so.
    pub fn is_empty(&self) -> bool {
        self.first.as_ref().is_ok_and(|l| l.ids.is_empty())
    }

    /// What was listed again, where it was.
    fn ids_again(&self) -> &[String] {
        self.again.as_ref().map_or(&[], |l| &l.ids)
    }

    /// The ids that did not come a second time.
    pub fn volatile(&self) -> Vec<&str> {
        match self.again {
            None => Vec::new(),
            Some(_) => without(self.ids(), self.ids_again()),
        }
    }

    /// The ids that came the second time only.
    pub fn fresh(&self) -> Vec<&str> {
        without(self.ids_again(), self.ids())
    }

    /// All that was listed.
    pub fn lists(&self) -> [&[String]; 2] {
        [self.ids(), self.ids_again()]
    }
}

/// Those of `ids` that are not among the others.
pub fn without<'a>(ids: &'a [String], others: &[String]) -> Vec<&'a str> {
    let ids = ids.iter().filter(|id| !others.contains(id));
    ids.map(String::as_str).collect()
}

/// What both sides list; `None` where they are no Criterion harness. Where they differ, a
/// second time, since an id may change from process to process; and where `twice` is asked for.
///
/// # Errors
/// Somebody asked us to stop.
pub fn both(
    pair: &Pair,
    twice: bool,
    cpu: &Cpu,
    patience: &Patience,
) -> Result<Option<[Listed; 2]>, RunError> {
    let sides = [once(pair, 0, cpu, patience)?, once(pair, 1, cpu, patience)?];
    let apart = match &sides {
        [Ok(None), Ok(None)] => return Ok(None),
        [Ok(Some(base)), Ok(Some(head))] => twice || base.ids != head.ids,
        _ => false,
    };
    let listed = sides.map(|said| Listed {
        first: said.and_then(|l| l.ok_or_else(|| "is no Criterion harness".to_owned())),
        again: None,
    });
    if !apart {
        return Ok(Some(listed));
    }
    thread::sleep(TICK);
    again(&listed, pair, cpu, patience).map(Some)
}

/// What both sides listed first, and what they list by now.
///
/// # Errors
/// Somebody asked us to stop.
pub fn again(
    listed: &[Listed; 2],
    pair: &Pair,
    cpu: &Cpu,
    patience: &Patience,
) -> Result<[Listed; 2], RunError> {
    let side = |side: usize| {
        Ok(Listed {
            first: listed[side].first.clone(),
            again: once(pair, side, cpu, patience)?.ok().flatten(),
        })
    };
    Ok([side(0)?, side(1)?])
}

/// What a side says when it is asked, or why it says nothing.
fn once(
    pair: &Pair,
    side: usize,
    cpu: &Cpu,
    patience: &Patience,
) -> Result<Result<Option<Listing>, String>, RunError> {
    let listed = pair
        .executables([Order::Name; 2])
        .and_then(|both| both[side].list(cpu, patience));
    match listed {
        Ok(listing) => Ok(Ok(listing)),
        Err(RunError::Failed(why) | RunError::Nothing(why)) => Ok(Err(why)),
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
    }
}
