//! The HTTP tracer in the real kernel: every request that was sent is seen.

#![cfg(feature = "agent")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use probecost::agent::Options;
use probecost::host::cgroup2_mount;
use probecost::pipeline::http::{Tracer, TracerCounts};
use probecost::schema::span::{HttpSpan, Side};
use rustix::pipe::{SpliceFlags, splice};

#[path = "support/port.rs"]
mod port;

use port::Port;

type Spans = Arc<Mutex<Vec<HttpSpan>>>;

/// The tests watch their own process: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A tracer that is attached and watches nobody; none where no agent is loaded, unless
/// one must be.
fn tracer() -> Option<(Tracer, Spans, MutexGuard<'static, ()>)> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let spans = Spans::default();
    let inner = Arc::clone(&spans);
    let started = Tracer::start(&Options::default(), move |span| {
        inner.lock().unwrap().push(span);
    });
    match started {
        Ok(mut tracer) => {
            tracer.attach().unwrap();
            Some((tracer, spans, turn))
        }
        Err(why) => {
            assert!(!probecost::agent::is_required(), "{why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

fn answer(id: usize) -> String {
    let body = "x".repeat(id);
    if id % 2 == 1 {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{id:x}\r\n{body}\r\n0\r\n\r\n"
        )
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {id}\r\n\r\n{body}")
    }
}

/// A server of one thread a connection, which answers `/ID` with ID bytes, by chunks
/// where ID is odd and in several writes where it divides by three.
fn serve(listener: TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                let path = line.split(' ').nth(1).unwrap();
                let id: usize = path[1..].parse().unwrap();
                let mut length = 0;
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    if let Some(value) = header.strip_prefix("Content-Length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if header == "\r\n" {
                        break;
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                let answer = answer(id);
                let at = if id.is_multiple_of(3) {
                    answer.len() / 2
                } else {
                    0
                };
                let (one, two) = answer.as_bytes().split_at(at);
                if stream
                    .write_all(one)
                    .and_then(|()| stream.write_all(two))
                    .is_err()
                {
                    return;
                }
            }
        });
    }
}

/// Sends requests for these ids over one connection, `together` at once.
fn ask(address: &str, ids: &[usize], together: usize) {
    let (mut stream, mut reader) = connect(address);
    ask_by(&mut stream, &mut reader, ids, together);
}

fn connect(address: &str) -> (TcpStream, BufReader<TcpStream>) {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let reader = BufReader::new(stream.try_clone().unwrap());
    (stream, reader)
}

fn ask_by(stream: &mut impl Write, reader: &mut impl BufRead, ids: &[usize], together: usize) {
    for ids in ids.chunks(together) {
        let requests: String = ids
            .iter()
            .map(|id| match id % 5 {
                0 => format!("POST /{id} HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET /x "),
                _ => format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n"),
            })
            .collect();
        stream.write_all(requests.as_bytes()).unwrap();
        for _ in ids {
            receive(reader);
        }
    }
}

fn receive(reader: &mut impl BufRead) {
    let mut length = None;
    loop {
        let mut line = String::new();
        assert!(
            reader.read_line(&mut line).unwrap() > 0,
            "the server hung up"
        );
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = Some(value.parse().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    match length {
        Some(length) => reader.read_exact(&mut vec![0; length]).unwrap(),
        None => loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            reader.read_exact(&mut vec![0; size + 2]).unwrap();
            if size == 0 {
                return;
            }
        },
    }
}

/// How often each id was seen, of one side.
fn seen(spans: &[HttpSpan], side: Side) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    for span in spans.iter().filter(|span| span.side == side) {
        assert!(span.complete && span.status == Some(200), "{span:?}");
        *seen.entry(span.path[1..].parse().unwrap()).or_default() += 1;
    }
    seen
}

/// Waits until as many spans of a side are there, or will not come: whoever has its answer
/// may ask what was seen before the hook at the end of the call that sent it has run.
fn wait_for(spans: &Spans, side: Side, many: usize) {
    let start = Instant::now();
    let there = || {
        let spans = spans.lock().unwrap();
        spans.iter().filter(|span| span.side == side).count()
    };
    while there() < many && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(1));
    }
}

fn once_each(ids: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
    ids.into_iter().map(|id| (id, 1)).collect()
}

fn nothing_lost(counts: &TracerCounts) {
    assert_eq!(counts.traffic.failed, 0, "{counts:?}");
    assert_eq!(counts.traffic.seen, counts.traffic.submitted, "{counts:?}");
    assert_eq!(counts.traffic.unreadable, 0, "{counts:?}");
}

#[test]
fn every_request_is_seen_from_both_ends() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.watch(std::process::id()).unwrap();
    thread::spawn(|| serve(listener));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let address = address.clone();
            let ids: Vec<_> = (client * 250..(client + 1) * 250).collect();
            thread::spawn(move || ask(&address, &ids, 1 + client % 4))
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    wait_for(&spans, Side::Server, 2000);
    wait_for(&spans, Side::Client, 2000);
    let counts = tracer.drain().unwrap();
    nothing_lost(&counts);
    let spans = spans.lock().unwrap();
    assert_eq!(seen(&spans, Side::Server), once_each(0..2000));
    assert_eq!(seen(&spans, Side::Client), once_each(0..2000));
    let of = |id: usize| {
        spans
            .iter()
            .find(|span| span.path == format!("/{id}"))
            .unwrap()
    };
    assert_eq!(of(1000).method, "POST");
    assert_eq!(of(1000).pid, std::process::id());
    assert!(of(1000).response_bytes > 1000);
    assert!(of(1000).duration_ns > 0);
}

#[test]
fn detached_it_sees_nothing_and_attached_again_the_rest() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.watch(std::process::id()).unwrap();
    thread::spawn(|| serve(listener));
    ask(&address, &[1], 1);
    wait_for(&spans, Side::Server, 1);
    tracer.detach();
    ask(&address, &[2], 1);
    tracer.attach().unwrap();
    ask(&address, &[3], 1);
    wait_for(&spans, Side::Server, 2);
    tracer.drain().unwrap();
    let spans = spans.lock().unwrap();
    assert_eq!(seen(&spans, Side::Server), once_each([1, 3]));
}

/// Whoever takes the spans stands still until the ring is full, and then goes on.
#[test]
fn no_span_of_a_ring_that_was_full_claims_more_than_was_seen() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let options = Options {
        ring_bytes: 64 << 10,
        ..Options::default()
    };
    let spans = Spans::default();
    let inner = Arc::clone(&spans);
    let held = Arc::new(Mutex::new(()));
    let gate = Arc::clone(&held);
    let started = Tracer::start(&options, move |span| {
        drop(gate.lock());
        inner.lock().unwrap().push(span);
    });
    let mut tracer = match started {
        Ok(tracer) => tracer,
        Err(why) => {
            assert!(!probecost::agent::is_required(), "{why}");
            eprintln!("skipped: {why}");
            return;
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.attach().unwrap();
    tracer.watch(std::process::id()).unwrap();
    thread::spawn(|| serve(listener));
    let standing = held.lock().unwrap();
    // Answers of one large record each: requests find room for longer.
    let ids: Vec<_> = (1002..1602).step_by(6).collect();
    let (until_full, after) = ids.split_at(50);
    let (mut stream, mut reader) = connect(&address);
    ask_by(&mut stream, &mut reader, until_full, 1);
    drop(standing);
    let counts = tracer.drain().unwrap();
    assert!(counts.traffic.failed > 0, "{counts:?}");
    ask_by(&mut stream, &mut reader, after, 1);
    wait_for(&spans, Side::Server, 60);
    tracer.drain().unwrap();
    let spans = spans.lock().unwrap();
    for span in spans.iter().filter(|span| span.complete) {
        let id: usize = span.path[1..].parse().unwrap();
        assert_eq!(span.response_bytes, answer(id).len() as u64, "{span:?}");
    }
}

#[test]
fn nobody_else_is_seen() {
    let Some((tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(|| serve(listener));
    ask(&address, &[1, 2, 3], 1);
    assert_eq!(tracer.drain().unwrap(), TracerCounts::default());
    assert!(spans.lock().unwrap().is_empty());
}

/// They are copied to where many are looked at, and no further.
#[test]
fn a_vector_is_seen_to_its_64th_buffer_or_16_kib() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.watch(std::process::id()).unwrap();
    thread::spawn(|| serve(listener));
    let (mut stream, mut reader) = connect(&address);
    let requests = [2, 4, 8].map(|id| format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let requests = requests.concat();
    let buffers: Vec<_> = requests.as_bytes().chunks(2).map(IoSlice::new).collect();
    assert!((17..=64).contains(&buffers.len()));
    assert_eq!(stream.write_vectored(&buffers).unwrap(), requests.len());
    (0..3).for_each(|_| receive(&mut reader));
    for side in [Side::Client, Side::Server] {
        wait_for(&spans, side, 3);
        assert_eq!(seen(&spans.lock().unwrap(), side), once_each([2, 4, 8]));
    }
    let before = tracer.drain().unwrap().traffic.seen;
    let (mut one, _other) = UnixStream::pair().unwrap();
    let buffers = [IoSlice::new(&[0; 2000]); 40];
    assert_eq!(one.write_vectored(&buffers).unwrap(), 80_000);
    // Nine, and one of what is beyond.
    assert_eq!(tracer.drain().unwrap().traffic.seen - before, 10);
}

/// Gives bodies back without having looked at them.
fn echo(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let (out, into) = std::io::pipe().unwrap();
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.extend(byte);
        }
        let none = SpliceFlags::empty();
        assert_eq!(splice(&stream, None, &into, None, 7, none).unwrap(), 7);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        stream.write_all(head).unwrap();
        assert_eq!(splice(&out, None, &stream, None, 7, none).unwrap(), 7);
    }
}

#[test]
fn bodies_that_are_spliced_are_counted() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.watch(std::process::id()).unwrap();
    thread::spawn(move || echo(&listener));
    // Those that have a body.
    let ids = [5, 10, 15, 20];
    ask(&address, &ids, 1);
    wait_for(&spans, Side::Server, ids.len());
    let counts = tracer.drain().unwrap();
    nothing_lost(&counts);
    assert_eq!(counts.traffic.unread, 0);
    let spans = spans.lock().unwrap();
    assert_eq!(seen(&spans, Side::Server), once_each(ids));
}

/// A response that lasts until the server hangs up, read by another call than most.
#[test]
fn a_client_that_reads_into_a_vector_sees_the_end() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tracer.watch(std::process::id()).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 19]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    });
    let (mut stream, _) = connect(&address);
    stream.write_all(b"GET /1 HTTP/1.1\r\n\r\n").unwrap();
    let mut buffer = [0; 100];
    while stream
        .read_vectored(&mut [IoSliceMut::new(&mut buffer)])
        .unwrap()
        > 0
    {}
    server.join().unwrap();
    wait_for(&spans, Side::Client, 1);
    assert_eq!(seen(&spans.lock().unwrap(), Side::Client), once_each([1]));
}

/// It is one of the processes that it watches; what it sends on is not to be seen again.
#[test]
fn of_its_own_cgroup_a_tracer_sees_all_but_itself() {
    let Some((mut tracer, spans, _turn)) = tracer() else {
        return;
    };
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let (Ok(root), Some(own)) = (cgroup2_mount(), own) else {
        eprintln!("skipped: no cgroup v2");
        return;
    };
    tracer.watch_cgroup(&root.join(own)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Numbers that nobody else in it asks for.
    let (by_itself, by_another) = (4802, 4804);
    let then = format!("head -c {} <&3 >/dev/null", answer(by_another).len());
    let mut another = get_and(&listener, by_another, &then);
    thread::spawn(|| serve(listener));
    ask(&address, &[by_itself], 1);
    assert!(another.status().unwrap().success());
    tracer.finish().unwrap();
    let spans = spans.lock().unwrap();
    let its = [by_itself, by_another].map(|id| format!("/{id}"));
    let of_both: Vec<_> = spans
        .iter()
        .filter(|span| its.contains(&span.path))
        .map(|span| (span.side, &span.path))
        .collect();
    assert_eq!(of_both, [(Side::Client, &its[1])]);
}

/// A process that sends a request, and then does something else.
fn get_and(listener: &TcpListener, id: usize, then: &str) -> Command {
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /{id} HTTP/1.1\\r\\n\\r\\n' >&3; {then}"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]);
    command
}

/// One that has sent a request which nobody answers.
fn unanswered(tracer: &Tracer, then: &str) -> Child {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = get_and(&listener, 1, then);
    tracer.enlist(&mut command);
    let child = command.spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 19]).unwrap();
    child
}

fn has_no_answer(spans: &Spans) {
    let spans = spans.lock().unwrap();
    let told: Vec<_> = spans
        .iter()
        .map(|span| (span.path.as_str(), span.status, span.complete))
        .collect();
    assert_eq!(told, [("/1", None, false)]);
}

#[test]
fn a_process_that_is_killed_amid_a_request_leaves_its_span() {
    let Some((tracer, spans, _turn)) = tracer() else {
        return;
    };
    let mut child = unanswered(&tracer, "kill -KILL $$");
    child.wait().unwrap();
    wait_for(&spans, Side::Client, 1);
    has_no_answer(&spans);
}

#[test]
fn at_its_end_a_tracer_tells_what_is_under_way() {
    let Some((tracer, spans, _turn)) = tracer() else {
        return;
    };
    let mut child = unanswered(&tracer, "exec sleep 100");
    // Its write has returned when it runs another program.
    let name = format!("/proc/{}/comm", child.id());
    let start = Instant::now();
    while std::fs::read_to_string(&name).unwrap() != "sleep\n" {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it does not sleep"
        );
        thread::sleep(Duration::from_millis(1));
    }
    let counts = tracer.finish().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        (counts.assembled.spans, counts.assembled.incomplete),
        (1, 1)
    );
    has_no_answer(&spans);
}

/// Its thread does not stay behind, with what it was to give spans to.
#[test]
fn a_tracer_that_cannot_start_is_gone() {
    let Some((_tracer, spans, _turn)) = tracer() else {
        return;
    };
    let mark = Arc::clone(&spans);
    let options = Options {
        cpu: Some(usize::MAX),
        ..Options::default()
    };
    let started = Tracer::start(&options, move |span| mark.lock().unwrap().push(span));
    assert!(started.err().unwrap().why.contains("consumer thread"));
    let start = Instant::now();
    // This test's, and the first tracer's.
    while Arc::strong_count(&spans) > 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "it still reads");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A process that was named may end before its parent starts the next: nobody is killed.
#[test]
fn those_named_may_end_and_others_begin() {
    let Some((mut tracer, _, _turn)) = tracer() else {
        return;
    };
    let script =
        "sleep 100 & echo begun; read go; kill $!; wait $!; cat /dev/null; cat /dev/null; exit 7";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    tracer.watch(shell.id()).unwrap();
    shell.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(shell.wait().unwrap().code(), Some(7));
}

/// A command that has others to end is asked to, when its trace is over.
#[test]
fn what_a_command_started_ends_with_it() {
    let Some((_tracer, _, _turn)) = tracer() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!(
        "sleep 100 & trap 'kill $!; wait $!; exit' TERM; echo $! >{0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let mut trace = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["trace", "--", "sh", "-c", &script])
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "it never began");
        thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&trace);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let traced = trace.wait().unwrap();
    assert!(traced.success(), "{traced:?}");
    let pid = std::fs::read_to_string(&file).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    let left = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    assert!(left.is_err(), "it is still there");
}

/// It has ended, although its parent has yet to ask how.
#[test]
fn a_trace_of_a_process_that_ended_ends() {
    let Some((_tracer, _, _turn)) = tracer() else {
        return;
    };
    let mut process = Command::new("true").spawn().unwrap();
    let mut trace = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["trace", "--pid", &process.id().to_string()])
        .spawn()
        .unwrap();
    let start = Instant::now();
    let traced = loop {
        if let Some(traced) = trace.try_wait().unwrap() {
            break traced;
        }
        if start.elapsed() > Duration::from_secs(30) {
            trace.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    };
    process.wait().unwrap();
    assert!(traced.success(), "{traced:?}");
}

/// The kernel knows it by another number there.
#[test]
fn in_a_pid_namespace_a_number_is_refused() {
    let Some((_tracer, _, _turn)) = tracer() else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root makes PID namespaces");
        return;
    }
    let traced = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(env!("CARGO_BIN_EXE_probecost"))
        .args(["trace", "--pid", "1", "--seconds", "1"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&traced.stderr);
    assert_eq!(traced.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("first PID namespace"), "{stderr}");
}

#[test]
fn a_collector_elsewhere_must_be_spelt_out() {
    for (url, said) in [
        ("http://192.0.2.1:4318/v1/traces", "--remote"),
        ("https://127.0.0.1:4318/v1/traces", "name one as http:"),
    ] {
        let traced = Command::new(env!("CARGO_BIN_EXE_probecost"))
            .args(["trace", "--otlp", url, "--", "true"])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&traced.stderr);
        assert_eq!(traced.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

const NGINX: &str = "
worker_processes 1;
daemon off;
error_log stderr;
pid DIRECTORY/pid;
events { worker_connections 100; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path DIRECTORY;
    proxy_temp_path DIRECTORY;
    fastcgi_temp_path DIRECTORY;
    uwsgi_temp_path DIRECTORY;
    scgi_temp_path DIRECTORY;
    sendfile on;
    server {
        listen ADDRESS;
        location / { return 200 hello; }
        location = /file { root DIRECTORY; }
    }
}
";

#[test]
fn every_request_to_nginx_is_seen() {
    let Some((tracer, spans, _turn)) = tracer() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let port = Port::keep();
    let path = directory.path();
    let text = NGINX
        .replace("DIRECTORY", path.to_str().unwrap())
        .replace("ADDRESS", &port.address().to_string());
    std::fs::write(path.join("nginx.conf"), text).unwrap();
    std::fs::write(path.join("file"), vec![b'x'; 100_000]).unwrap();
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(path.join("nginx.conf"))
        .stderr(Stdio::null());
    tracer.enlist(&mut command);
    let Ok(mut nginx) = command.spawn() else {
        eprintln!("skipped: nginx is not installed");
        return;
    };
    let address = port.address().to_string();
    let start = Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "nginx does not listen"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let address = address.clone();
            // The last id of each is the file, which leaves by sendfile.
            let ids: Vec<_> = (client * 500..(client + 1) * 500).collect();
            thread::spawn(move || ask(&address, &ids, 1 + client))
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /file HTTP/1.0\r\n\r\n").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    wait_for(&spans, Side::Server, 2001);
    let counts = tracer.drain().unwrap();
    // The process of this name that was started, by the number that it has here.
    let pid = rustix::process::Pid::from_child(&nginx);
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
    nginx.wait().unwrap();
    nothing_lost(&counts);
    let mut spans = spans.lock().unwrap();
    let file = spans.iter().position(|span| span.path == "/file").unwrap();
    let file = spans.remove(file);
    assert_eq!(file.response_bytes, all.len() as u64);
    assert_eq!(seen(&spans, Side::Server), once_each(0..2000));
}

#[test]
fn the_command_writes_a_line_for_each_request() {
    let Some((_tracer, _, _turn)) = tracer() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spans");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let get = get_and(&listener, 8, "head -c 46 <&3 >/dev/null; echo said");
    thread::spawn(|| serve(listener));
    let traced = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["trace", "--out"])
        .arg(&file)
        .arg("--")
        .arg(get.get_program())
        .args(get.get_args())
        .output()
        .unwrap();
    assert!(traced.status.success(), "{traced:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let span: HttpSpan = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((span.side, span.path.as_str()), (Side::Client, "/8"));
    assert_eq!(span.status, Some(200));

    // Without a file the spans have standard output to themselves.
    let traced = Command::new(env!("CARGO_BIN_EXE_probecost"))
        .args(["trace", "--"])
        .arg(get.get_program())
        .args(get.get_args())
        .output()
        .unwrap();
    let span: HttpSpan = serde_json::from_slice(&traced.stdout).unwrap();
    assert_eq!(span.path, "/8");
    assert!(String::from_utf8_lossy(&traced.stderr).contains("said"));
}
