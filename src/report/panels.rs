//! Figures over time, a panel each, as a picture (SVG).

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

/// The size of a panel.
const WIDTH: u32 = 900;
const HEIGHT: u32 = 260;

/// A figure over time.
pub(super) struct Panel {
    /// What it is of.
    pub(super) name: &'static str,
    /// Its unit.
    pub(super) unit: &'static str,
    /// Seconds from the start, and the figure.
    pub(super) points: Vec<(f64, f64)>,
}

/// The panels below each other.
pub(super) fn draw(panels: Vec<Panel>) -> String {
    let mut text = String::new();
    let count = panels.len();
    let root = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT * count as u32));
    let root = root.into_drawing_area();
    for (area, panel) in root.split_evenly((count, 1)).iter().zip(panels) {
        draw_one(area, panel).expect("a string takes any text");
    }
    drop(root);
    text
}

fn draw_one<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    panel: Panel,
) -> Result<(), Box<dyn Error + 'a>> {
    let most = |value: fn(&(f64, f64)) -> f64| panel.points.iter().map(value).fold(0.0, f64::max);
    let (end, top) = (most(|p| p.0).max(1.0), most(|p| p.1).max(1.0));
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(panel.name, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, 0.0..top * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("seconds")
        .y_desc(panel.unit)
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new(panel.points, BLUE.stroke_width(2)))?;
    Ok(())
}
