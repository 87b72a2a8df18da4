//! Whatever bytes come, decoding says what they are and goes on.

#![cfg(feature = "agent")]

use probecost::agent::record::{Malformed, Record, Target};
use probecost::pipeline::{
    Binary, Cgroups, Hashing, Json, Pattern, Pipeline, Policy, Registry, Sample, Writer,
};

/// Well-formed records of every shape.
fn seeds() -> Vec<Vec<u8>> {
    let open = |path: &[u8], file| Sample {
        path: path.to_vec(),
        file,
        ..Sample::default()
    };
    let connect = |path: &[u8]| Sample {
        kind: Sample::CONNECT,
        path: path.to_vec(),
        ..Sample::default()
    };
    let mut six = vec![10, 0, 0, 53];
    six.extend([0; 23]);
    six.push(1);
    [
        open(b"/etc/hosts", None),
        open(b"", None),
        open(&[b'x'; 4095], None),
        open(b"/with/a/file", Some((1, 2))),
        connect(&[2, 0, 0, 53, 127, 0, 0, 1]),
        connect(&six),
    ]
    .iter()
    .map(Sample::bytes)
    .collect()
}

/// Changes a few bytes, most of them in the header; cuts or draws out now and then.
fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        let reach = if random.bool() { 8 } else { 90 };
        let at = random.usize(..reach);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = match random.u8(..4) {
                0 => 0,
                1 => 0xff,
                2 => *byte ^ (1 << random.u8(..8)),
                _ => random.u8(..),
            };
        }
    }
    match random.u8(..8) {
        0 => bytes.truncate(random.usize(..=bytes.len())),
        1 => bytes.resize(bytes.len() + random.usize(..70_000 / 64), random.u8(..)),
        _ => {}
    }
}

/// Reads everything that a record offers.
fn read_all(record: &Record) -> usize {
    let target = match record.target {
        Target::Path(path) | Target::Program(path) => path.len(),
        Target::Address(address) => usize::from(address.port()),
    };
    target
        + record.target_bytes().len()
        + record.comm().len()
        + usize::from(record.cpu())
        + record.lost() as usize
}

#[test]
fn ten_million_mutated_and_random_records() {
    let mut random = fastrand::Rng::with_seed(1);
    let seeds = seeds();
    let (mut decoded, mut flaws) = (0u64, [0u64; 4]);
    let mut bytes = Vec::new();
    let mut noise = vec![0; 512];
    random.fill(&mut noise);
    for i in 0..10_000_000 {
        let record = if i % 5 == 0 {
            let start = random.usize(..400);
            noise[start] = random.u8(..3);
            noise[start + 1] = random.u8(..3);
            &noise[start..start + random.usize(..=112)]
        } else {
            bytes.clear();
            bytes.extend_from_slice(&seeds[if i % 50 == 1 { 2 } else { i % 6 }]);
            if bytes.len() > 4000 && i % 50 != 1 {
                bytes.truncate(200);
            }
            mutate(&mut random, &mut bytes);
            &bytes[..]
        };
        match Record::decode(record) {
            Ok(record) => {
                std::hint::black_box(read_all(&record));
                decoded += 1;
            }
            Err(flaw) => {
                flaws[match flaw {
                    Malformed::Short => 0,
                    Malformed::Version(_) => 1,
                    Malformed::Kind(_) => 2,
                    Malformed::Address => 3,
                }] += 1;
            }
        }
    }
    // Every way out was taken many times, so that each was tested.
    assert!(decoded > 100_000, "{decoded}");
    assert!(flaws.iter().all(|&flaw| flaw > 10_000), "{flaws:?}");
}

#[test]
fn the_whole_pipeline_counts_every_record_once() {
    let registry = Registry::new(Policy::from_iter([
        Pattern::Below((*b"/etc").into()),
        Pattern::Connects,
    ]));
    let output = Writer::new(Json, std::io::sink(), 4096);
    let mut pipeline = Pipeline::new(registry, Cgroups::new(None), Hashing::random(), output);
    let mut random = fastrand::Rng::with_seed(2);
    let seeds = seeds();
    let records = 300_000;
    let mut bytes = Vec::new();
    for i in 0..records {
        bytes.clear();
        bytes.extend_from_slice(&seeds[i % 6]);
        mutate(&mut random, &mut bytes);
        pipeline.take(&bytes);
    }
    pipeline.flush();
    let tally = pipeline.tally();
    assert_eq!(tally.decoded + tally.malformed, records as u64);
    assert_eq!(
        tally.matched + tally.unmatched + tally.trusted,
        tally.decoded
    );
    assert!(tally.malformed > 1000 && tally.matched > 1000, "{tally:?}");
    let listed: u64 = pipeline.aggregate().rows().map(|row| row.events).sum();
    assert_eq!(listed + pipeline.aggregate().unlisted(), tally.matched);
}

#[test]
fn mutated_frames_end_or_go_on() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut frames = Vec::new();
    for seed in seeds() {
        let record = Record::decode(&seed).unwrap();
        let start = frames.len();
        frames.extend([0; 2]);
        record.write_to(&mut frames);
        let length = (frames.len() - start - 2) as u16;
        frames[start..start + 2].copy_from_slice(&length.to_le_bytes());
    }
    assert!(Binary::decode(&frames).all(|record| record.is_ok()));
    let mut flaws = 0;
    for _ in 0..100_000 {
        let mut mutated = frames.clone();
        mutate(&mut random, &mut mutated);
        flaws += Binary::decode(&mutated).filter(Result::is_err).count();
    }
    assert!(flaws > 1000, "{flaws}");
}
