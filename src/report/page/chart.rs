//! Pictures as inline SVG, in the colours of the page around them.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::findings::digits;
use super::read::Sheet;
use super::row::Row;
use crate::schema::page::Picture;

/// The sides of a small picture of a row.
const ROW: [f64; 2] = [160.0, 28.0];
/// The sides of a picture of its own.
const LARGE: [f64; 2] = [340.0, 150.0];
/// Points of a line at most: more than it has pixels show nothing.
const MOST_POINTS: usize = 680;

/// A row's interval beside its limit, and the values before it as a line.
pub(super) fn row(row: &Row, kept: &[f64]) -> Option<Picture> {
    let value = row.value?;
    let ends = [value.lo, value.hi, row.limit.unwrap_or(value.est)];
    let all = || ends.iter().chain(kept);
    let low = all().copied().fold(f64::MAX, f64::min);
    let high = all().copied().fold(f64::MIN, f64::max);
    if !(low.is_finite() && high.is_finite()) {
        return None;
    }
    let margin = ((high - low) * 0.1).max(high.abs() * 0.02).max(1e-9);
    let [width, height] = ROW;
    let x = |v: f64| (v - low + margin) / (high - low + 2.0 * margin) * width;
    let middle = height / 2.0;
    let mut svg = open(ROW);
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"{middle}\" y2=\"{middle}\"/>\
         <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
        x(value.lo),
        x(value.hi)
    );
    // Those before it, the older the fainter.
    for (age, before) in kept.iter().rev().skip(1).take(6).enumerate() {
        let _ = write!(
            svg,
            "<circle class=\"past\" cx=\"{:.1}\" cy=\"{middle}\" r=\"2.5\" opacity=\"{:.2}\"/>",
            x(*before),
            0.6 / (age + 1) as f64
        );
    }
    let _ = write!(
        svg,
        "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle}\" r=\"4\"/>",
        x(value.est)
    );
    if let Some(limit) = row.limit {
        let at = x(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"2\" y2=\"26\"/>"
        );
    }
    svg.push_str("</svg>");
    let mut words = format!(
        "{} of {} to {}",
        digits(value.est),
        digits(value.lo),
        digits(value.hi)
    );
    if let Some(limit) = row.limit {
        let _ = write!(words, ", limit {}", digits(limit));
    }
    Some(Picture {
        title: String::new(),
        words,
        svg,
    })
}

/// Percentiles and time series that a document holds.
pub(super) fn pictures(sheet: &Sheet) -> Vec<Picture> {
    let mut pictures = percentiles(&sheet.document);
    pictures.extend(series(&sheet.document));
    pictures.extend(courses(&sheet.document));
    pictures
}

/// A curve for each row that has percentiles, and for the document's own.
fn percentiles(document: &Value) -> Vec<Picture> {
    let rows = document.get("rows").and_then(Value::as_array);
    let of_rows = rows.into_iter().flatten().filter_map(|row| {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let name = [text("workload"), text("arm")].into_iter().flatten();
        curve(
            &name.collect::<Vec<_>>().join(" "),
            "ns",
            row,
            ["p50_ns", "p95_ns", "p99_ns"],
        )
    });
    let arms = document.get("arms").and_then(Value::as_array);
    let of_arms = arms.into_iter().flatten().filter_map(|arm| {
        let name = arm.get("arm").and_then(Value::as_str)?;
        curve(name, "µs", arm, ["p50_us", "p95_us", "p99_us"])
    });
    let own = document.get("latency_us");
    let own = own.and_then(|own| curve("latency", "µs", own, ["p50", "p95", "p99"]));
    own.into_iter().chain(of_arms).chain(of_rows).collect()
}

fn curve(name: &str, unit: &str, value: &Value, keys: [&str; 3]) -> Option<Picture> {
    let values: Option<Vec<f64>> = keys.iter().map(|key| value.get(*key)?.as_f64()).collect();
    let values = values?;
    if values.iter().all(|value| *value == 0.0) {
        return None;
    }
    let points = values
        .iter()
        .enumerate()
        .map(|(k, v)| (k as f64, *v))
        .collect();
    let said: Vec<String> = ["p50", "p95", "p99"]
        .iter()
        .zip(&values)
        .map(|(name, value)| format!("{name} {} {unit}", digits(*value)))
        .collect();
    Some(line(
        format!("{name}: p50, p95, p99"),
        said.join(", "),
        points,
    ))
}

/// A line for each number that was looked at again and again.
fn series(document: &Value) -> Vec<Picture> {
    let samples = ["samples", "seconds"].iter();
    let mut samples = samples.filter_map(|list| document.get(*list)?.as_array());
    let Some(samples) = samples.find(|samples| samples.len() > 2) else {
        return Vec::new();
    };
    let first = samples[0].as_object();
    let keys = first
        .into_iter()
        .flatten()
        .filter(|(key, value)| *key != "at_s" && value.is_number());
    keys.filter_map(|(key, _)| {
        let points: Vec<(f64, f64)> = samples
            .iter()
            .enumerate()
            .filter_map(|(k, sample)| {
                let at = sample
                    .get("at_s")
                    .and_then(Value::as_f64)
                    .unwrap_or(k as f64);
                Some((at, sample.get(key)?.as_f64()?))
            })
            .collect();
        let low = points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
        let high = points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
        let words = format!(
            "{} to {} over {} looks",
            digits(low),
            digits(high),
            points.len()
        );
        (high > 0.0).then(|| line(key.replace('_', " "), words, points))
    })
    .collect()
}

/// A line for each benchmark whose level changed from refresh to refresh.
fn courses(document: &Value) -> Vec<Picture> {
    let courses = document.get("benchmarks").and_then(Value::as_array);
    let courses = courses.into_iter().flatten().filter_map(|course| {
        course.get("change_points")?.as_array()?.first()?;
        let number = |point: &Value, key: &str| point.get(key)?.as_f64();
        let points = course.get("points")?.as_array()?.iter();
        let points: Option<Vec<(f64, f64)>> = points
            .map(|point| Some((number(point, "refresh")?, number(point, "value")?)))
            .collect();
        let points = points?;
        let (first, last) = (points.first()?.1, points.last()?.1);
        let words = format!(
            "{} to {} {} over {} refreshes",
            digits(first),
            digits(last),
            course
                .get("unit")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            points.len()
        );
        Some(line(course.get("id")?.as_str()?.to_owned(), words, points))
    });
    courses.collect()
}

fn line(title: String, words: String, points: Vec<(f64, f64)>) -> Picture {
    let [width, height] = LARGE;
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let all = points.iter().map(of);
        all.fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(v), hi.max(v)))
    };
    let ((left, right), (_, top)) = (ends(|p| p.0), ends(|p| p.1));
    let x = |v: f64| 8.0 + (v - left) / (right - left).max(1e-9) * (width - 16.0);
    // From nothing up: a picture that begins elsewhere makes small things large.
    let y = |v: f64| height - 8.0 - v / top.max(1e-9) * (height - 24.0);
    let mut svg = open(LARGE);
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"8\" x2=\"{:.0}\" y1=\"{1:.0}\" y2=\"{1:.0}\"/><polyline class=\"line\" points=\"",
        width - 8.0,
        height - 8.0
    );
    for (at, value) in thinned(&points) {
        let _ = write!(svg, "{:.1},{:.1} ", x(at), y(value));
    }
    svg.push_str("\"/></svg>");
    Picture { title, words, svg }
}

/// The least and the greatest of each stretch, in the order in which they came.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let ends = points.chunks(stretch).flat_map(|chunk| {
        let least = (0..chunk.len()).min_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1));
        let most = (0..chunk.len()).max_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1));
        let mut ends: Vec<usize> = least.into_iter().chain(most).collect();
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter().map(|index| chunk[index])
    });
    ends.collect()
}

fn open([width, height]: [f64; 2]) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-hidden=\"true\">"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_peaks() {
        let mut points: Vec<(f64, f64)> = (0..28_800).map(|at| (f64::from(at), 1.0)).collect();
        points[12_345].1 = 9.0;
        points[20_000].1 = 0.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS, "{}", thin.len());
        assert!(thin.contains(&(12_345.0, 9.0)) && thin.contains(&(20_000.0, 0.0)));
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thinned(&points[..680]), points[..680]);
    }
}
