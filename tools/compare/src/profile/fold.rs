//! Samples folded into stacks, by names that two builds share.

use std::collections::BTreeMap;
use std::fmt::Write;

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options};
use rustc_demangle::demangle;

use crate::failure::Failure;

/// How the kernel calls the code of an eBPF program: this, its tag, its name.
const PROGRAM: &str = "bpf_prog_";

/// Stacks from the outermost function to the innermost, and how many samples met each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stacks(BTreeMap<String, u64>);

impl Stacks {
    /// From what `perf script` prints.
    ///
    /// # Errors
    /// It prints something else.
    pub fn of_perf(script: &[u8]) -> Result<Self, Failure> {
        let mut folded = Vec::new();
        let mut options = Options::default();
        options.annotate_kernel = true;
        Folder::from(options)
            .collapse(script, &mut folded)
            .map_err(|e| Failure::new(format!("what perf script printed: {e}")))?;
        let mut stacks = BTreeMap::new();
        for line in String::from_utf8_lossy(&folded).lines() {
            let Some((stack, count)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            // The outermost is the process, whose name differs between builds.
            let functions: Vec<String> = stack.split(';').skip(1).map(readable).collect();
            *stacks.entry(functions.join(";")).or_default() += count;
        }
        stacks.remove("");
        Ok(Self(stacks))
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.0.values().sum()
    }

    /// The share of samples that each function itself was met in, as the innermost.
    pub fn own(&self) -> BTreeMap<&str, f64> {
        let all = self.samples() as f64;
        let mut own: BTreeMap<&str, f64> = BTreeMap::new();
        for (stack, count) in &self.0 {
            let innermost = stack.rsplit(';').next().unwrap_or(stack);
            *own.entry(innermost).or_default() += *count as f64 / all;
        }
        own
    }

    /// The functions that were met most as the innermost, with their shares.
    pub fn hottest(&self, most: usize) -> Vec<(&str, f64)> {
        let mut own: Vec<(&str, f64)> = self.own().into_iter().collect();
        own.sort_by(|a, b| b.1.total_cmp(&a.1));
        own.truncate(most);
        own
    }

    /// The eBPF programs that were met, with the share of samples inside them.
    pub fn programs(&self) -> BTreeMap<String, f64> {
        let all = self.samples() as f64;
        let mut programs = BTreeMap::new();
        for (stack, count) in &self.0 {
            let outermost = stack.split(';').find(|f| f.starts_with(PROGRAM));
            if let Some(name) = outermost.map(program) {
                *programs.entry(name).or_default() += *count as f64 / all;
            }
        }
        programs
    }

    /// A line for each stack, as flame graphs are made of them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (stack, count) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{stack} {count}");
        }
        text
    }

    /// The same stacks, so often that there are as many samples as that in all.
    pub fn scaled(&self, samples: f64) -> Self {
        let factor = samples / self.samples() as f64;
        let scaled = |count: &u64| (*count as f64 * factor).round() as u64;
        Self(
            self.0
                .iter()
                .map(|(s, count)| (s.clone(), scaled(count)))
                .collect(),
        )
    }
}

/// A function by the name in its source.
fn readable(symbol: &str) -> String {
    let (symbol, kernel) = match symbol.strip_suffix("_[k]") {
        Some(symbol) => (symbol, "_[k]"),
        None => (symbol, ""),
    };
    let name = format!("{:#}", demangle(symbol)).replace([';', ' '], "_");
    name + kernel
}

/// The name of an eBPF program, without its tag.
fn program(symbol: &str) -> String {
    let rest = symbol.trim_start_matches(PROGRAM).trim_end_matches("_[k]");
    rest.split_once('_')
        .map_or(rest, |(_, name)| name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
bench  10/10  1.000001:     1 cpu-clock: 
\tffffffff81000001 bpf_prog_3f2a_on_open+0x1 (bpf_prog_3f2a_on_open)
\tffffffff82000001 do_sys_open+0x1 ([kernel.kallsyms])
\t    5001 _ZN5bench4work17h0123456789abcdefE+0x1 (/bench)
\t    4001 main+0x1 (/bench)

bench  10/10  1.000002:     1 cpu-clock: 
\t    5001 _RNvCs1234_5bench4work+0x1 (/bench)
\t    4001 main+0x1 (/bench)

";

    #[test]
    fn functions_have_the_names_of_their_source_and_programs_are_found() {
        let stacks = Stacks::of_perf(SCRIPT.as_bytes()).unwrap();
        assert_eq!(stacks.samples(), 2);
        assert_eq!(stacks.own()["bench::work"], 0.5);
        assert_eq!(
            stacks.programs(),
            BTreeMap::from([("on_open".to_owned(), 0.5)])
        );
        assert!(
            stacks.text().contains("main;bench::work 1\n"),
            "{}",
            stacks.text()
        );
        assert_eq!(stacks.scaled(20.0).samples(), 20);
        assert_eq!(stacks.hottest(1).len(), 1);
    }

    #[test]
    fn what_has_no_samples_has_no_stacks() {
        assert_eq!(Stacks::of_perf(b"").unwrap().samples(), 0);
    }
}
