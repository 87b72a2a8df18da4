//! Spans to an OpenTelemetry collector: OTLP over HTTP, in its JSON form.

use std::io;
use std::time::Duration;

use rustix::time::ClockId;
use serde_json::{Value, json};
use ureq::Agent;

use super::SpanSink;
use crate::agent::clock::now_ns;
use crate::host::Obstacle;
use crate::schema::span::{HttpSpan, Side};

/// How long a collector may take; spans queue up meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long at the end spans are still sent: to a collector that accepts them and does not
/// answer, each batch takes all of [`PATIENCE`].
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

/// A collector.
pub struct Otlp {
    agent: Agent,
    url: String,
    random: fastrand::Rng,
    /// What the clock of the day says more than that of the spans, in nanoseconds.
    since_epoch: u64,
}

impl Otlp {
    /// That takes spans at `url`. Whether it is there shows when it is sent some.
    ///
    /// # Errors
    /// It is no URL of HTTP.
    pub fn to(url: &str) -> Result<Self, Obstacle> {
        if !url.starts_with("http://") {
            return Err(Obstacle::new(
                format!("`{url}` is no URL of a collector without TLS"),
                "name one as http://127.0.0.1:4318/v1/traces",
            ));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        Ok(Self {
            agent: config.build().into(),
            url: url.to_owned(),
            random: fastrand::Rng::new(),
            since_epoch: now_ns(ClockId::Realtime).saturating_sub(now_ns(ClockId::Monotonic)),
        })
    }

    fn span(&mut self, span: &HttpSpan) -> Value {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        // 64-bit numbers are text in this form.
        let number =
            |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
        let at = |ns: u64| (self.since_epoch + ns).to_string();
        let mut attributes = vec![
            text("http.request.method", &span.method),
            text("url.path", &span.path),
            number("http.request.size", span.request_bytes),
            number("http.response.size", span.response_bytes),
            number("process.pid", span.pid.into()),
        ];
        attributes.extend(
            span.status
                .map(|status| number("http.response.status_code", status.into())),
        );
        let failed = !span.complete || span.status.is_none_or(|status| status >= 500);
        json!({
            "traceId": format!("{:032x}", self.random.u128(1..)),
            "spanId": format!("{:016x}", self.random.u64(1..)),
            "name": span.method,
            "kind": match span.side { Side::Server => 2, Side::Client => 3 },
            "startTimeUnixNano": at(span.start_ns),
            "endTimeUnixNano": at(span.end_ns()),
            "attributes": attributes,
            "status": if failed { json!({"code": 2}) } else { json!({}) },
        })
    }
}

/// How many spans a collector refused of those that it accepted, by its answer: a 64-bit
/// number, which is text in this form and may come as a number.
fn refused(answer: &str) -> usize {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    match &answer["partialSuccess"]["rejectedSpans"] {
        Value::String(text) => text.parse().unwrap_or(0),
        number => number.as_u64().map_or(0, |n| n as usize),
    }
}

impl SpanSink for Otlp {
    fn take(&mut self, spans: &[HttpSpan]) -> io::Result<usize> {
        let many = spans.len();
        let spans: Vec<Value> = spans.iter().map(|span| self.span(span)).collect();
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "probecost"}}]},
            "scopeSpans": [{
                "scope": {"name": "probecost.http", "version": env!("CARGO_PKG_VERSION")},
                "spans": spans,
            }],
        }]});
        let post = self.agent.post(&self.url);
        let sent = post
            .content_type("application/json")
            .send(request.to_string());
        let mut answer = sent.map_err(io::Error::other)?;
        // What it says of what it took is no reason to send it again, however it says it.
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        Ok(many.saturating_sub(refused(&said)))
    }

    fn patience_at_end(&self) -> Option<Duration> {
        Some(PATIENCE_AT_END)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::super::Export;
    use super::*;

    fn span(status: u16) -> HttpSpan {
        HttpSpan {
            side: Side::Server,
            method: "GET".into(),
            path: "/a".into(),
            status: Some(status),
            start_ns: 1_000,
            duration_ns: 500,
            request_bytes: 3,
            response_bytes: 4,
            pid: 5,
            connection: 6,
            complete: true,
        }
    }

    /// Sends these spans, and gives what became of them.
    fn sent(url: &str, spans: &[HttpSpan]) -> super::super::Exported {
        let export = Export::start(Otlp::to(url).unwrap(), spans.len()).unwrap();
        let mut queue = export.queue();
        spans.iter().cloned().for_each(&mut queue);
        drop(queue);
        export.finish()
    }

    /// A collector that answers so, and passes on what it was sent.
    fn collector(status: &'static str, said: &'static str) -> (String, mpsc::Receiver<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let _ = tell.send(serde_json::from_slice(&body).unwrap());
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
                    said.len()
                );
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        (url, told)
    }

    #[test]
    fn a_collector_is_told_every_span() {
        let (url, told) = collector("200 OK", "{}");
        let exported = sent(&url, &[span(200), span(503)]);
        assert_eq!((exported.written, exported.unwritable), (2, 0));
        let spans: Vec<Value> = told
            .try_iter()
            .flat_map(|request| {
                let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
                spans.as_array().unwrap().clone()
            })
            .collect();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0]["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(spans[0]["spanId"].as_str().unwrap().len(), 16);
        assert_eq!(spans[0]["kind"], 2);
        let at = |key: &str| spans[0][key].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(at("endTimeUnixNano") - at("startTimeUnixNano"), 500);
        assert!(at("startTimeUnixNano") > 1_000_000_000_000_000_000);
        let attributes = spans[1]["attributes"].as_array().unwrap();
        let status = attributes
            .iter()
            .find(|one| one["key"] == "http.response.status_code");
        assert_eq!(status.unwrap()["value"]["intValue"], "503");
        assert_eq!(
            (&spans[0]["status"], &spans[1]["status"]["code"]),
            (&json!({}), &json!(2))
        );
    }

    #[test]
    fn spans_that_a_collector_refuses_are_counted() {
        let (url, _told) = collector("429 Too Many Requests", "{}");
        let exported = sent(&url, &[span(200), span(200), span(200)]);
        assert_eq!((exported.written, exported.unwritable), (0, 3));
    }

    #[test]
    fn spans_that_an_answer_of_success_refuses_are_counted() {
        let all = r#"{"partialSuccess":{"rejectedSpans":"9","errorMessage":"too old"}}"#;
        for (said, many) in [
            (all, 9),
            (r#"{"partialSuccess":{"rejectedSpans":2}}"#, 2),
            (r#"{"partialSuccess":{"errorMessage":"slow down"}}"#, 0),
            ("{}", 0),
            ("thanks", 0),
        ] {
            assert_eq!(refused(said), many, "{said}");
        }
        let (url, _told) = collector("200 OK", all);
        let exported = sent(&url, &[span(200), span(200), span(200)]);
        assert_eq!((exported.written, exported.unwritable), (0, 3));
    }

    #[test]
    fn spans_for_a_collector_that_is_gone_are_counted() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", gone.local_addr().unwrap());
        drop(gone);
        let exported = sent(&url, &[span(200), span(200)]);
        assert_eq!((exported.written, exported.unwritable), (0, 2));
    }

    /// It accepts, and never answers.
    #[test]
    fn spans_that_a_silent_collector_does_not_take_in_time_are_counted() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", silent.local_addr().unwrap());
        // Enough for a minute, by batches of 512 that take two seconds each.
        let spans = vec![span(200); 30 * 512];
        let exported = sent(&url, &spans);
        assert_eq!((exported.written, exported.queue_full), (0, 0));
        assert_eq!(exported.unwritable, spans.len() as u64);
        silent.set_nonblocking(true).unwrap();
        let asked = silent.incoming().take_while(Result::is_ok).count();
        assert!((1..15).contains(&asked), "{asked} batches were sent");
    }

    #[test]
    fn another_kind_of_url_is_refused() {
        assert!(Otlp::to("https://example.org").is_err());
        assert!(Otlp::to("4318").is_err());
    }
}
