//! A bench target's executables of both sides, laid out alike and as often anew as one asks.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::harness::Executable;
use super::layout::{self, Order};
use super::link::{self, Function, Link};
use super::process::{RunError, failed};
use crate::bench_place::target_libraries;

/// Both executables, called by paths of one length: what a process finds on its stack moves
/// its addresses, and those move its times.
pub struct Pair {
    sides: [Executable; 2],
    placement: Placement,
    /// How much of base's code lies at the same addresses where both are in the order by names,
    /// 0..=1.
    share: f64,
    /// Which layout each side has now.
    orders: [Cell<Option<Order>>; 2],
}

/// Where functions lie.
enum Placement {
    /// At the same addresses on both sides.
    Shared(Box<Shared>),
    /// Where they came to lie, and why that could not be helped.
    Own(String),
}

/// What both sides need to be laid out alike.
struct Shared {
    links: [Link; 2],
    functions: [Vec<Function>; 2],
    lld: PathBuf,
    /// What linking both sides once takes.
    link_time: Duration,
}

impl Pair {
    /// The executables of base and of head, to be called in `place`.
    ///
    /// # Errors
    /// An executable does not exist, or there is no room.
    pub fn new(made: [&Executable; 2], place: &Path) -> io::Result<Self> {
        let paths = ["base", "head"].map(|side| place.join(side).join("bench"));
        let mut sides = made.map(Executable::clone);
        for (side, path) in sides.iter_mut().zip(&paths) {
            fs::create_dir_all(path.parent().unwrap_or(place))?;
            side.path = path.clone();
        }
        let shared = Shared::of([&made[0].path, &made[1].path], place);
        let mut pair = Self {
            sides,
            share: 0.0,
            placement: shared.map_or_else(Placement::Own, |s| Placement::Shared(Box::new(s))),
            orders: Default::default(),
        };
        let laid_out = pair.lay_out([Order::Name; 2]);
        match laid_out.and_then(|()| pair.same_addresses()) {
            Ok(share) => {
                pair.share = share;
                Ok(pair)
            }
            Err(why) => {
                for (path, executable) in paths.iter().zip(made) {
                    let _ = fs::remove_file(path);
                    symlink(fs::canonicalize(&executable.path)?, path)?;
                }
                Ok(Self {
                    placement: Placement::Own(why),
                    ..pair
                })
            }
        }
    }

    /// Both executables in these layouts, where they can have several.
    ///
    /// # Errors
    /// The linker refuses.
    pub fn executables(&self, orders: [Order; 2]) -> Result<&[Executable; 2], RunError> {
        if let Placement::Shared(_) = self.placement {
            self.lay_out(orders).map_err(failed)?;
        }
        Ok(&self.sides)
    }

    /// How much of base's code head has at the same addresses, or why that cannot be said.
    pub fn shared(&self) -> Result<f64, &str> {
        match &self.placement {
            Placement::Shared(_) => Ok(self.share),
            Placement::Own(why) => Err(why),
        }
    }

    /// What another layout of both sides takes.
    pub fn link_time(&self) -> Duration {
        match &self.placement {
            Placement::Shared(shared) => shared.link_time,
            Placement::Own(_) => Duration::ZERO,
        }
    }

    /// How much of base's code head has at the same addresses, as both lie now.
    fn same_addresses(&self) -> Result<f64, String> {
        let functions = |side: &Executable| {
            let cannot = |e| format!("where functions lie cannot be read: {e}");
            link::functions(&side.path).map_err(cannot)
        };
        let [base, head] = &self.sides;
        Ok(layout::shared(&functions(base)?, &functions(head)?))
    }

    fn lay_out(&self, orders: [Order; 2]) -> Result<(), String> {
        let shared = match &self.placement {
            Placement::Shared(shared) => shared,
            Placement::Own(why) => return Err(why.clone()),
        };
        let [base, head] = &shared.functions;
        for (side, order) in orders.into_iter().enumerate() {
            if self.orders[side].get() == Some(order) {
                continue;
            }
            // Until it is there, there is none.
            self.orders[side].set(None);
            let path = &self.sides[side].path;
            let file = path.with_extension("order");
            let symbols = layout::orders(base, head, order)[side].join("\n");
            fs::write(&file, symbols).map_err(|e| format!("{}: {e}", file.display()))?;
            // A process may still run the one that lies there.
            let _ = fs::remove_file(path);
            shared.links[side].again(path, Some(&file), &shared.lld)?;
            self.orders[side].set(Some(order));
        }
        Ok(())
    }
}

impl Shared {
    /// Of the executables of both sides; otherwise why they cannot be laid out alike.
    fn of(made: [&Path; 2], place: &Path) -> Result<Self, String> {
        let mut links = made.map(Link::of).into_iter();
        let (Some(Some(base)), Some(Some(head))) = (links.next(), links.next()) else {
            return Err("functions lie as they were linked: how is not known".to_owned());
        };
        let lld = lld();
        let plain = place.join("plain");
        let functions = |link: &Link| {
            link.again(&plain, None, &lld)
                .and_then(|()| link::functions(&plain))
                .map_err(|e| {
                    format!("functions lie as each linker likes: lld cannot link them: {e}")
                })
        };
        let started = Instant::now();
        let (old, new) = (functions(&base)?, functions(&head)?);
        let link_time = started.elapsed();
        let _ = fs::remove_file(&plain);
        Ok(Self {
            links: [base, head],
            functions: [old, new],
            lld,
            link_time,
        })
    }
}

/// Where rustc keeps the linker that it brings.
fn lld() -> PathBuf {
    let libraries = target_libraries().unwrap_or_default();
    libraries.with_file_name("bin").join("gcc-ld")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_place::BenchPlace;
    use std::ffi::OsString;

    /// A pair whose linker fails while there is a file `broken` where it was called.
    fn pair(place: &Path) -> Pair {
        let linker = place.join("linker");
        let script = "[ ! -e broken ] || exit 1\n\
                      while [ \"$1\" != -o ]; do shift; done\necho \"$@\" >\"$2\"\n";
        fs::write(&linker, script).unwrap();
        let out = place.join("made");
        // Read by a shell: what was just written cannot be run while another thread forks.
        let arguments = [linker.into(), OsString::from("-o"), out.clone().into()];
        link::keep("sh".as_ref(), place, &arguments).unwrap();
        let link = Link::of(&out).unwrap();
        let sides = ["base", "head"].map(|name| Executable {
            path: place.join(name),
            place: BenchPlace::directory(place),
        });
        Pair {
            sides,
            placement: Placement::Shared(Box::new(Shared {
                links: [link.clone(), link],
                functions: Default::default(),
                lld: "/nowhere".into(),
                link_time: Duration::ZERO,
            })),
            share: 1.0,
            orders: Default::default(),
        }
    }

    #[test]
    fn a_link_that_failed_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let pair = pair(place.path());
        let broken = place.path().join("broken");
        let laid_out = |n| pair.executables([Order::Random(n); 2]).is_ok();
        assert!(laid_out(1));
        fs::write(&broken, "").unwrap();
        assert!(!laid_out(2) && !laid_out(2));
        fs::remove_file(&broken).unwrap();
        assert!(laid_out(2) && pair.sides[0].path.exists());
    }
}
