//! Options that name several things.

use probecost::host::Obstacle;

/// Fails where something is asked for twice: its rows would have one name.
///
/// # Errors
/// It is.
pub fn once<T: PartialEq>(option: &str, asked: &[T]) -> Result<(), Obstacle> {
    let is_again = |n: usize| asked[..n].contains(&asked[n]);
    match (0..asked.len()).any(is_again) {
        false => Ok(()),
        true => Err(Obstacle::new(
            format!("{option} names something twice"),
            "name each once",
        )),
    }
}
