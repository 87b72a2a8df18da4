//! The pulls, interleaved.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use fastrand::Rng;
use oci_spec::image::MediaType;

use super::judge::{TreeTally, judge};
use super::layout::{EROFS, Layout};
use super::mount::{Backing, drop_caches, mounted_below, own_namespace};
use super::observation::PullTimes;
use super::plant::{Fault, Subject};
use super::pull::{PulledTree, Route, Took, erofs_name, storage};
use super::{Contents, ImageArgs, ImageFailure, erofs, layer, tree};
use crate::gate;
use crate::host::{self, Host, Obstacle};
use crate::schema::Finding;
use crate::schema::image::{How, ImageReport, ImageSettings, Made, PullWay, SCHEMA};
use crate::stream::Scratch;

const MB: u64 = 1_000_000;

/// An image of the store with what it must come out as.
struct ImageSample {
    name: String,
    source: PathBuf,
    contents: Contents,
}

/// Makes the images, pulls them, and removes everything again. `progress` is told the
/// share that is done.
///
/// # Errors
/// Nothing can be measured here: no mount namespace, no room, no tool.
pub fn measure(
    args: &ImageArgs,
    budgets: &gate::Image,
    progress: impl FnMut(f64),
) -> Result<ImageReport, ImageFailure> {
    own_namespace()?;
    if args.cold {
        drop_caches()?;
    }
    if !args.tree.is_dir() {
        let why = format!("{} is no directory", args.tree.display());
        return Err(Obstacle::new(why, "name one that has files in it with --tree").into());
    }
    let host = Host::read().map_err(|e| Obstacle::new(e.to_string(), "mount /proc and /sys"))?;
    let scratch = Scratch::new(&args.dir)?;
    let (ways, routes) = ways(&scratch)?;
    let store = Layout::create(&scratch.path().join("store"))?;
    let mut images = Vec::new();
    let mut samples = Vec::new();
    for size in &args.sizes {
        let (made, sample) = make(args, *size, &scratch, &store, &routes)?;
        images.push(made);
        samples.push(sample);
    }
    let bench = ImageBench {
        args,
        store: &store,
        samples: &samples,
        scratch: &scratch,
    };
    let mut tally = TreeTally::default();
    let failed = bench.all(&routes, progress, &mut tally).err();
    if tally.is_empty()
        && let Some(failure) = failed
    {
        return Err(failure);
    }
    tally.left_mounted = mounted_below(&fs::canonicalize(scratch.path())?)?;
    let (pulls, mut rows) = judge(&tally, &images, &ways, args.rounds as usize, budgets);
    rows.extend(failed.map(|failure| Finding::cut_off(failure.to_string())));
    Ok(ImageReport {
        schema: SCHEMA,
        provenance: host::provenance(),
        host,
        settings: ImageSettings {
            rounds: args.rounds as usize,
            cold: args.cold,
            seed: args.seed,
            tree: args.tree.display().to_string(),
            file_system: host::file_system(scratch.path())?,
        },
        images,
        ways,
        pulls,
        rows,
    })
}

/// Which ways can be gone here, and by what.
fn ways(scratch: &Scratch) -> io::Result<(Vec<PullWay>, Vec<Route>)> {
    let place = scratch.path().join("probe");
    let mut ways = vec![PullWay {
        how: How::Tar,
        by: Some("unpacking".into()),
        reason: String::new(),
    }];
    let mut routes = vec![Route::Tar];
    let by = |backing| match backing {
        Backing::File => "a mount of the file itself",
        Backing::Loop => "a loop device",
    };
    let backing = erofs::backing(&place);
    let (name, why) = match &backing {
        Ok((backing, why)) => {
            routes.push(Route::Erofs(*backing));
            (Some(by(*backing).to_owned()), why.as_ref())
        }
        Err(obstacle) => (None, Some(obstacle)),
    };
    ways.push(PullWay {
        how: How::Erofs,
        by: name,
        reason: why.map(ToString::to_string).unwrap_or_default(),
    });
    ways.push(composefs_way(&backing, &place, &mut routes));
    Ok((ways, routes))
}

#[cfg(feature = "composefs")]
fn composefs_way(
    backing: &Result<(Backing, Option<Obstacle>), Obstacle>,
    place: &Path,
    routes: &mut Vec<Route>,
) -> PullWay {
    let tried = backing
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|(backing, _)| {
            let route = Route::Composefs(*backing);
            let try_it = || -> Result<(), ImageFailure> {
                let store = Layout::create(&place.join("store"))?;
                let [tree, file] = ["source", "layer"].map(|name| place.join(name));
                fs::create_dir_all(&tree)?;
                fs::write(
                    tree.join("file"),
                    "more than goes beside a name ".repeat(10),
                )?;
                layer::pack(&tree, &file)?;
                store.add("probe", MediaType::ImageLayerZstd, &file)?;
                let first = Path::new("file");
                route.pull(&store, "probe", first, &place.join("pulled"))?;
                Ok(())
            };
            try_it().map_err(|failure| match failure {
                ImageFailure::Obstacle(obstacle) => obstacle,
                other => Obstacle::new(other.to_string(), "see `dmesg | tail`"),
            })?;
            Ok(route)
        });
    match tried {
        Ok(route) => {
            routes.push(route);
            PullWay {
                how: How::Composefs,
                by: Some("an overlay of EROFS and a store of contents".into()),
                reason: "fs-verity is not used: the digests of contents are checked when they \
                         are stored"
                    .into(),
            }
        }
        Err(obstacle) => PullWay {
            how: How::Composefs,
            by: None,
            reason: obstacle.to_string(),
        },
    }
}

#[cfg(not(feature = "composefs"))]
fn composefs_way(
    _: &Result<(Backing, Option<Obstacle>), Obstacle>,
    _: &Path,
    _: &mut Vec<Route>,
) -> PullWay {
    PullWay {
        how: How::Composefs,
        by: None,
        reason: "built without it; apt-get install pkg-config libssl-dev, and build with \
                 --features composefs"
            .into(),
    }
}

/// Makes an image of `size` megabytes and puts it into the store.
fn make(
    args: &ImageArgs,
    size: u64,
    scratch: &Scratch,
    store: &Layout,
    routes: &[Route],
) -> Result<(Made, ImageSample), ImageFailure> {
    let name = format!("{size} MB");
    let source = scratch.path().join(format!("source-{size}"));
    tree::make(&source, &args.tree, size * MB, args.seed)?;
    let contents = Contents::of(&source)?;
    let file = scratch.path().join("layer");

    let begin = Instant::now();
    layer::pack(&source, &file)?;
    let tar_seconds = begin.elapsed().as_secs_f64();
    let tar_bytes = file.metadata()?.len();
    store.add(&name, MediaType::ImageLayerZstd, &file)?;

    let (mut erofs_seconds, mut erofs_bytes) = (0.0, 0);
    if routes.iter().any(|route| route.how() == How::Erofs) {
        let begin = Instant::now();
        erofs::pack(&source, &file)?;
        erofs_seconds = begin.elapsed().as_secs_f64();
        erofs_bytes = file.metadata()?.len();
        store.add(&erofs_name(&name), MediaType::Other(EROFS.into()), &file)?;
    }
    let made = Made {
        image: name.clone(),
        bytes: contents.bytes(),
        files: contents.files(),
        tar_bytes,
        erofs_bytes,
        tar_seconds,
        erofs_seconds,
    };
    let sample = ImageSample {
        name,
        source,
        contents,
    };
    Ok((made, sample))
}

struct ImageBench<'a> {
    args: &'a ImageArgs,
    store: &'a Layout,
    samples: &'a [ImageSample],
    scratch: &'a Scratch,
}

impl ImageBench<'_> {
    /// Every round, and what comes after them, as far as it goes.
    fn all(
        &self,
        routes: &[Route],
        mut progress: impl FnMut(f64),
        tally: &mut TreeTally,
    ) -> Result<(), ImageFailure> {
        let (rounds, images) = (self.args.rounds as usize, self.samples.len());
        let steps = rounds * (images + 1);
        let mut rng = Rng::with_seed(self.args.seed);
        for round in 0..rounds {
            for (step, image) in (0..images).chain([0]).enumerate() {
                progress((round * (images + 1) + step) as f64 / steps as f64);
                let at_once = if step < images {
                    1
                } else {
                    self.args.at_once as usize
                };
                // Tar a second time, against itself: what differs there is noise.
                let mut order: Vec<(Route, bool)> = routes.iter().map(|r| (*r, false)).collect();
                if at_once == 1 {
                    order.push((Route::Tar, true));
                }
                rng.shuffle(&mut order);
                for (route, control) in order {
                    let observation = self.observe(route, image, at_once, tally)?;
                    tally.add(image, at_once, route.how(), control, observation);
                }
            }
        }
        for route in routes {
            self.again(*route, tally)?;
            self.plant(*route, tally)?;
        }
        Ok(())
    }

    /// Pulls an image, reads it, compares it with its source, and removes it.
    fn observe(
        &self,
        route: Route,
        image: usize,
        at_once: usize,
        tally: &mut TreeTally,
    ) -> Result<PullTimes, ImageFailure> {
        let sample = &self.samples[image];
        let pulled = self.scratch.path().join("pulled");
        if self.args.cold {
            drop_caches()?;
        }
        let begin = Instant::now();
        let trees = if at_once == 1 {
            vec![self.pull(route, sample, &pulled)?]
        } else {
            self.pull_at_once(route, sample, &pulled, at_once)?
        };
        let all = begin.elapsed();
        let mut read = None;
        if let [(tree, _)] = &trees[..] {
            if self.args.cold {
                drop_caches()?;
            }
            read = Some(tree.read()?.1.as_secs_f64());
        }
        let storage = storage(&pulled)? as f64 / at_once as f64;
        for (tree, _) in &trees {
            let differences = sample.contents.differences(&Contents::of(tree.root())?);
            tally.compared(route.how(), &differences);
        }
        let latest = |of: fn(&Took) -> Duration| {
            let all = trees.iter().map(|(_, took)| of(took));
            all.max().unwrap_or_default().as_secs_f64()
        };
        let observation = PullTimes {
            pull: if at_once == 1 {
                latest(|t| t.pull)
            } else {
                all.as_secs_f64()
            },
            mount: latest(|t| t.mount),
            first_read: latest(|t| t.first_read),
            read,
            bytes: (sample.contents.bytes() * at_once as u64) as f64,
            storage,
        };
        drop(trees);
        fs::remove_dir_all(&pulled)?;
        Ok(observation)
    }

    fn pull(
        &self,
        route: Route,
        sample: &ImageSample,
        place: &Path,
    ) -> Result<(PulledTree, Took), ImageFailure> {
        let first = sample.contents.largest().unwrap_or(Path::new("."));
        route.pull(self.store, &sample.name, first, place)
    }

    /// Pulls the image so many times at the same time, each into a place of its own.
    fn pull_at_once(
        &self,
        route: Route,
        sample: &ImageSample,
        pulled: &Path,
        times: usize,
    ) -> Result<Vec<(PulledTree, Took)>, ImageFailure> {
        let ready = Barrier::new(times);
        std::thread::scope(|threads| {
            let pulls: Vec<_> = (0..times)
                .map(|number| {
                    let ready = &ready;
                    threads.spawn(move || {
                        ready.wait();
                        self.pull(route, sample, &pulled.join(number.to_string()))
                    })
                })
                .collect();
            let done = pulls.into_iter().map(|pull| pull.join());
            done.map(|pull| pull.unwrap_or_else(|_| Err(io::Error::other("a pull died").into())))
                .collect()
        })
    }

    /// Mounts the first image again and again, once it is here.
    fn again(&self, route: Route, tally: &mut TreeTally) -> Result<(), ImageFailure> {
        let sample = &self.samples[0];
        let pulled = self.scratch.path().join("pulled");
        let first = sample.contents.largest().unwrap_or(Path::new("."));
        let local = route.fetch(self.store, &sample.name, &pulled)?;
        let storage = storage(&pulled)? as f64;
        for _ in 0..self.args.again {
            match local.open(first, &pulled) {
                Ok((_, took)) => tally.opened_again(
                    route.how(),
                    PullTimes {
                        pull: took.pull.as_secs_f64(),
                        mount: took.mount.as_secs_f64(),
                        first_read: took.first_read.as_secs_f64(),
                        read: None,
                        bytes: sample.contents.bytes() as f64,
                        storage,
                    },
                ),
                Err(failure) => tally.failed_again(route.how(), &failure),
            }
        }
        fs::remove_dir_all(&pulled)?;
        Ok(())
    }

    /// Plants every fault and sees whether it is found.
    fn plant(&self, route: Route, tally: &mut TreeTally) -> Result<(), ImageFailure> {
        let sample = &self.samples[0];
        let pulled = self.scratch.path().join("pulled");
        let subject = Subject {
            store: self.store,
            name: &sample.name,
            source: &sample.source,
            contents: &sample.contents,
        };
        for fault in Fault::ALL {
            let found = subject.found(fault, route, &pulled)?;
            tally.planted(route.how(), fault, found);
            if pulled.exists() {
                fs::remove_dir_all(&pulled)?;
            }
        }
        Ok(())
    }
}
