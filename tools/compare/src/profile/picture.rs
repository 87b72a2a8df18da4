//! Stacks as pictures.

use inferno::differential;
use inferno::flamegraph::{Options, from_reader};

use super::fold::Stacks;
use crate::failure::Failure;

/// A flame graph, as SVG.
///
/// # Errors
/// There is nothing to show.
pub fn flame_graph(stacks: &Stacks, title: &str) -> Result<Vec<u8>, Failure> {
    draw(stacks.text().as_bytes(), title)
}

/// A flame graph of head, red where head has more of the time of an operation of base, and
/// blue where it has less.
///
/// # Errors
/// There is nothing to show.
pub fn differential([base, head]: [&Stacks; 2], title: &str) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    differential::from_readers(
        differential::Options::default(),
        base.text().as_bytes(),
        head.text().as_bytes(),
        &mut lines,
    )
    .map_err(|e| Failure::new(format!("both profiles: {e}")))?;
    draw(
        &lines,
        &format!("{title}: head, red where it takes longer than base"),
    )
}

fn draw(lines: &[u8], title: &str) -> Result<Vec<u8>, Failure> {
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    options.count_name = "samples".to_owned();
    let mut svg = Vec::new();
    from_reader(&mut options, lines, &mut svg)
        .map_err(|e| Failure::new(format!("a flame graph of {title}: {e}")))?;
    Ok(svg)
}
