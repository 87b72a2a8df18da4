//! Loops as programs have them. Each function takes a number, so that every benchmark has
//! code of its own.

use std::hint::black_box;
use std::str::FromStr;

mod loops;

pub use loops::ALL;

/// What the loops work on.
pub struct Work {
    text: String,
    numbers: Vec<u32>,
    sorted: Vec<u32>,
}

impl Work {
    /// About so many bytes of it.
    pub fn new(bytes: usize) -> Self {
        let mut state = 1u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let numbers: Vec<u32> = (0..bytes / 8).map(|_| next()).collect();
        let mut text = String::new();
        for number in &numbers {
            let word = ["\"a\"", "or", "line\n", "tree"][*number as usize % 4];
            text += &format!("{} {word} ", number % 1000);
        }
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        Self { text, numbers, sorted }
    }
}

/// What all of it comes to.
pub fn summary(work: &Work) -> u64 {
    work.text.len() as u64 ^ hash::<1000>(work)
}

/// Does the same so many times.
fn passes(times: u64, work: &Work, pass: impl Fn(&Work) -> u64) -> u64 {
    (0..times).fold(0, |all, _| all ^ pass(black_box(work)))
}

/// The sum of the numbers in the text.
fn parse<const N: u64>(work: &Work) -> u64 {
    let words = work.text.split(' ');
    words.filter_map(|word| u64::from_str(word).ok()).fold(N, u64::wrapping_add)
}

/// FNV-1a over the bytes.
fn hash<const N: u64>(work: &Work) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    work.text.bytes().fold(N, step)
}

fn sort<const N: u64>(work: &Work) -> u64 {
    let mut numbers = work.numbers.clone();
    numbers.sort_unstable_by_key(|n| n.rotate_left(N as u32 % 32));
    u64::from(numbers[numbers.len() / 2])
}

/// Binary search for each of the numbers.
fn search<const N: u64>(work: &Work) -> u64 {
    let find = |n: &u32| work.sorted.partition_point(|m| m < n) as u64;
    work.numbers.iter().map(find).fold(N, |all, at| all.rotate_left(1) ^ at)
}

/// How many words fall into the fullest of 64 slots.
fn words<const N: u64>(work: &Work) -> u64 {
    let mut slots = [0u64; 64];
    for word in work.text.split_ascii_whitespace() {
        let slot = word.bytes().fold(N, |a, b| a.wrapping_mul(31).wrapping_add(u64::from(b)));
        slots[slot as usize % 64] += 1;
    }
    slots.into_iter().max().unwrap_or(0)
}

/// The length of the text as JSON.
fn escape<const N: u64>(work: &Work) -> u64 {
    let mut json = String::with_capacity(work.text.len() + N as usize);
    for letter in work.text.chars() {
        match letter {
            '"' => json.push_str("\\\""),
            '\n' => json.push_str("\\n"),
            other => json.push(other),
        }
    }
    json.len() as u64
}
