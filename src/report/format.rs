//! In which form a result is printed.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

/// The form of a result on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

impl Format {
    /// Prints a document.
    pub fn print<T: Serialize>(self, document: &T, render: impl FnOnce(&T) -> String) {
        let text = match self {
            Self::Table => render(document),
            Self::Json => {
                serde_json::to_string_pretty(document).expect("documents are plain data") + "\n"
            }
        };
        print(&text);
    }
}

/// Prints a text. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A number to so many decimals; what rounds to nothing has no sign.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.trim_start_matches(['-', '0', '.']) {
        "" => text.trim_start_matches('-').to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_sign() {
        for (value, text) in [(-0.0001, "0.000"), (-0.02, "-0.020"), (1.5, "1.500")] {
            assert_eq!(fixed(value, 3), text);
        }
    }
}
