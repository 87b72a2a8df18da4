//! One page with a chart for each benchmark, which needs nothing beside itself.

use std::fmt::{self, Write};

use super::chart::{self, direction};
use super::markup::Text;
use super::series::{Refresh, short};
use super::words::{HEAD, change, day, figures, newest, one_line, sparkline, stamp, summary};
use super::{BenchmarkCourse, Timeline};
use crate::report::quantity;

/// How many columns the sparklines of the overview have.
const SPARKLINE: usize = 24;

const STYLE: &str = include_str!("page.css");

const HOW_TO_READ: &str = "\
A point is the median over the runs of a refresh, its bar the middle half of them. A line is a \
level; a change point is where it becomes another one, for three refreshes at least (Fearnhead \
and Rigaill 2019, biweight loss). The last refresh is given as its distance from the present \
level. A triangle below the axis is another toolchain or machine. Hold the pointer over any of \
them for the reason.";

/// The page.
pub fn render(timeline: &Timeline) -> String {
    let mut html = String::new();
    write(timeline, &mut html).expect("a string takes any text");
    html
}

fn write(timeline: &Timeline, html: &mut String) -> fmt::Result {
    let file = Text(&timeline.file);
    write!(
        html,
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-GatePolicy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>{file}</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>{file}</h1>
<p>{}.</p>
<p>{HOW_TO_READ}</p>
"#,
        Text(summary(timeline)),
    )?;
    for remark in &timeline.remarks {
        writeln!(html, r#"<p class="remark">{}</p>"#, Text(remark))?;
    }
    overview(timeline, html)?;
    for (k, benchmark) in timeline.benchmarks.iter().enumerate() {
        section(k, benchmark, &timeline.refreshes, html)?;
    }
    refreshes(&timeline.refreshes, html)?;
    html.write_str("</body>\n</html>\n")
}

fn overview(timeline: &Timeline, html: &mut String) -> fmt::Result {
    head(html, &HEAD)?;
    for (k, benchmark) in timeline.benchmarks.iter().enumerate() {
        let course = sparkline(benchmark, timeline.refreshes.len(), SPARKLINE);
        write!(
            html,
            r##"<tr><td><a href="#b{k}">{}</a></td><td class="course">{course}</td>"##,
            Text(&benchmark.id),
        )?;
        for figure in figures(benchmark) {
            write!(html, r#"<td class="figure">{}</td>"#, Text(figure))?;
        }
        let change = benchmark.newest_change();
        let class = change
            .filter(|_| benchmark.ended.is_none())
            .map_or("", direction);
        let why = change.map_or(String::new(), |change| one_line(&change.at.why));
        writeln!(
            html,
            r#"<td class="{class}" title="{}">{}</td></tr>"#,
            Text(why),
            Text(newest(benchmark)),
        )?;
    }
    html.write_str("</table>\n")
}

fn section(
    k: usize,
    benchmark: &BenchmarkCourse,
    refreshes: &[Refresh],
    html: &mut String,
) -> fmt::Result {
    writeln!(
        html,
        "<section id=\"b{k}\">\n<h2>{}</h2>\n{}",
        Text(&benchmark.id),
        chart::draw(benchmark, refreshes),
    )?;
    if !benchmark.change_points.is_empty() {
        head(
            html,
            &["change", "date", "commit", "before", "after", "reason"],
        )?;
        for at in benchmark.change_points.iter().rev() {
            let value = |value| quantity(value, benchmark.unit);
            let mut reasons = vec![at.at.why.as_str()];
            reasons.extend(refreshes[at.at.refresh].changed.iter().map(String::as_str));
            row(
                html,
                &[
                    (direction(at), &change(at.change_pct)),
                    ("", &day(at.at.date)),
                    ("commit", &at.at.commit),
                    ("figure", &value(at.before)),
                    ("figure", &value(at.after)),
                    ("", &reasons.join("; ")),
                ],
            )?;
        }
        html.write_str("</table>\n")?;
    }
    if let Some(ended) = &benchmark.ended {
        writeln!(html, "<p>Ended {}: {}.</p>", stamp(ended), Text(&ended.why))?;
    }
    html.write_str("</section>\n")
}

fn refreshes(refreshes: &[Refresh], html: &mut String) -> fmt::Result {
    html.write_str("<details>\n<summary>All refreshes</summary>\n")?;
    head(
        html,
        &[
            "date",
            "commit",
            "measured",
            "runs",
            "toolchain",
            "reason",
            "changed",
        ],
    )?;
    for refresh in refreshes.iter().rev() {
        let measured = refresh.measured.as_deref().map_or("", short);
        let dirty = if refresh.dirty { ", dirty" } else { "" };
        row(
            html,
            &[
                ("", &day(refresh.date)),
                ("commit", short(&refresh.commit)),
                ("commit", &format!("{measured}{dirty}")),
                ("figure", &refresh.runs.to_string()),
                ("", refresh.toolchain.as_deref().unwrap_or_default()),
                ("", &refresh.why),
                ("", &refresh.changed.join("; ")),
            ],
        )?;
    }
    html.write_str("</table>\n</details>\n")
}

/// The beginning of a table.
fn head(html: &mut String, columns: &[&str]) -> fmt::Result {
    html.write_str("<table>\n<tr>")?;
    for column in columns {
        write!(html, "<th>{column}</th>")?;
    }
    html.write_str("</tr>\n")
}

/// A row: the class and the text of each cell.
fn row(html: &mut String, cells: &[(&str, &str)]) -> fmt::Result {
    html.write_str("<tr>")?;
    for (class, text) in cells {
        write!(html, r#"<td class="{class}">{}</td>"#, Text(text))?;
    }
    html.write_str("</tr>\n")
}
