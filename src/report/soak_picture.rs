//! Rate, losses and memory over time, as a picture (SVG).

use std::error::Error;

use plotters::prelude::*;

use crate::schema::soak::SoakSample;

/// A name, a unit, and the figure over time.
type Panel = (&'static str, &'static str, fn(&SoakSample) -> f64);

const SIZE: (u32, u32) = (900, 780);

/// The picture.
pub fn draw(samples: &[SoakSample]) -> String {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let panels: [Panel; 3] = [
        ("Events", "thousands a second", |s| s.rate / 1e3),
        ("Lost", "events a look", |s| s.lost as f64),
        ("Resident memory", "MB", |s| s.resident as f64 / 1e6),
    ];
    for (area, (name, unit, value)) in root.split_evenly((3, 1)).iter().zip(panels) {
        let points: Vec<(f64, f64)> = samples.iter().map(|s| (s.at_s, value(s))).collect();
        panel(area, name, unit, points).expect("a string takes any text");
    }
    drop(root);
    text
}

fn panel<'a>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    name: &str,
    unit: &str,
    points: Vec<(f64, f64)>,
) -> Result<(), Box<dyn Error + 'a>> {
    let most = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).fold(0.0, f64::max);
    let (end, top) = (most(|p| p.0).max(1.0), most(|p| p.1).max(1.0));
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(name, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, 0.0..top * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("seconds")
        .y_desc(unit)
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    Ok(())
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
