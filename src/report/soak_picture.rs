//! Rate, losses and memory over time, as a picture (SVG).

use super::panels::{self, Panel};
use crate::schema::soak::SoakSample;

/// The picture.
pub fn draw(samples: &[SoakSample]) -> String {
    let panel = |name, unit, value: fn(&SoakSample) -> f64| Panel {
        name,
        unit,
        points: samples.iter().map(|s| (s.at_s, value(s))).collect(),
    };
    panels::draw(vec![
        panel("Events", "thousands a second", |s| s.rate / 1e3),
        panel("Lost", "events a look", |s| s.lost as f64),
        panel("Resident memory", "MB", |s| s.resident as f64 / 1e6),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_line_in_each_panel_and_none_needs_no_sample() {
        assert!(draw(&[]).ends_with("</svg>\n"));
        let sample = |at_s, lost| SoakSample {
            at_s,
            rate: 5e5,
            events: 1,
            lost,
            received: Some(1),
            resident: 30_000_000,
            maps: 0,
            cpu_share: 0.0,
            descriptors: 0,
            context_switches: 0,
            age_p50_us: 0.0,
            age_p99_us: 0.0,
        };
        let svg = draw(&[sample(1.0, 0), sample(2.0, 9)]);
        for name in ["Events", "Lost", "Resident memory"] {
            assert!(svg.contains(name), "{svg}");
        }
        assert_eq!(svg.matches("stroke=\"#0000FF\"").count(), 3, "{svg}");
    }
}
