//! `monitor.json` as a person reads it: a few lines, and a picture.

use super::panels::{self, Panel};
use crate::schema::monitor::{MonitorEnding, MonitorReport, MonitorSample};

/// What it took in all.
pub fn render(report: &MonitorReport) -> String {
    let totals = &report.totals;
    let seconds = totals.seconds.max(f64::MIN_POSITIVE);
    let percent = |cpu_s: f64| cpu_s / seconds * 100.0;
    let ending = match report.ending {
        Some(MonitorEnding::Exited(code)) => format!("ended with exit code {code}"),
        Some(MonitorEnding::Killed(signal)) => format!("was killed by signal {signal}"),
        None => "watched".to_owned(),
    };
    let most = |value: fn(&MonitorSample) -> u64| report.samples.iter().map(value).max();
    let pressure = report.samples.iter().filter_map(|s| s.pressure);
    let cpu_some = pressure
        .map(|p| p.cpu_some)
        .fold(None, |most: Option<f64>, share| {
            Some(most.map_or(share, |most| most.max(share)))
        });
    let shown = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    [
        format!(
            "{} (process {}): {ending}, {:.2} s, {} looks\n",
            report.command.join(" "),
            report.pid,
            totals.seconds,
            report.samples.len()
        ),
        format!(
            "  CPU          {:.2} s user, {:.2} s system, {:.1} % of one CPU",
            totals.user_s,
            totals.system_s,
            percent(totals.user_s + totals.system_s)
        ),
        format!(
            "  memory       {:.1} MB resident at most",
            totals.peak_resident as f64 / 1e6
        ),
        format!(
            "  at most      {} processes, {} threads, {} descriptors",
            shown(most(|s| s.processes)),
            shown(most(|s| s.threads)),
            totals.peak_descriptors
        ),
        format!(
            "  switches     {} by waiting, {} by force",
            totals.voluntary_switches, totals.involuntary_switches
        ),
        format!(
            "  pressure     {}",
            cpu_some.map_or("not counted by this kernel".to_owned(), |share| format!(
                "CPU {share:.1} % in the worst second, of the whole machine"
            ))
        ),
        format!(
            "  the monitor  {:.3} % of one CPU\n",
            percent(totals.own_cpu_s)
        ),
    ]
    .join("\n")
}

/// The samples over time.
pub fn draw(samples: &[MonitorSample]) -> String {
    let panel = |name, unit, value: fn(&MonitorSample) -> f64| Panel {
        name,
        unit,
        points: samples.iter().map(|s| (s.at_s, value(s))).collect(),
    };
    panels::draw(vec![
        panel("CPU", "percent of one", |s| s.user_pct + s.system_pct),
        panel("Resident memory", "MB", |s| s.resident as f64 / 1e6),
        panel("Descriptors", "open", |s| s.descriptors as f64),
        panel("Context switches", "a look", |s| {
            (s.voluntary_switches + s.involuntary_switches) as f64
        }),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_line_in_each_panel_and_none_needs_no_sample() {
        assert!(draw(&[]).ends_with("</svg>\n"));
        let at = |at_s| MonitorSample {
            at_s,
            ..MonitorSample::default()
        };
        assert_eq!(
            draw(&[at(1.0), at(2.0)])
                .matches("stroke=\"#0000FF\"")
                .count(),
            4
        );
    }
}
