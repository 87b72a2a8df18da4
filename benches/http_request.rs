//! One request and its answer over loopback: without a tracer, with its hooks in place
//! and nobody watched, and traced at both ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, SamplingMode, Throughput};
use probecost::agent::{self, Options, pin_this_thread};
use probecost::host::{self, Obstacle};
use probecost::load::{Behaviour, Server};
use probecost::pipeline::http::Tracer;
use probecost_bench::arguments::may_ask_for;
use probecost_bench::blocks::{BLOCK, Blocks};
use probecost_bench::fail;
use probecost_bench::turns::{Ns, Turns};

const REQUEST: &[u8] = b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn main() {
    let mut criterion = probecost_bench::criterion();
    let mut group = criterion.benchmark_group("http_request");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));
    if let Err(obstacle) = arms(&mut group) {
        fail(&obstacle);
    }
    group.finish();
    criterion.final_summary();
}

fn arms(group: &mut BenchmarkGroup<Turns>) -> Result<(), Obstacle> {
    let cpus = host::allowed_cpus();
    let server = Server::start(Behaviour::default(), cpus.first().copied())?;
    let tracers = [("hook", false), ("event", true)].map(|(arm, watches)| {
        let wanted = may_ask_for(&format!("http_request/{arm}"));
        (arm, wanted.then(|| tracer(watches, cpus.last().copied())))
    });
    // After the tracers, whose consumers would otherwise inherit this CPU.
    if let Some(&cpu) = cpus.first() {
        pin_this_thread(cpu)
            .map_err(|e| Obstacle::new(e.to_string(), "allow this process a CPU"))?;
    }
    let mut client = Client::connect(&server)?;
    let mut blocks = Blocks::plain(BLOCK);
    time(group, "off", |times| {
        blocks.block(times, |(), times| client.ask(times))
    });
    for (arm, tracer) in tracers {
        match tracer {
            None => {}
            Some(Ok(tracer)) => traced(group, arm, tracer, &mut client)?,
            Some(Err(obstacle)) if agent::is_required() => return Err(obstacle),
            Some(Err(obstacle)) => eprintln!("http_request/{arm} skipped: {obstacle}"),
        }
    }
    Ok(())
}

/// One that watches this process, or nobody.
fn tracer(watches: bool, cpu: Option<usize>) -> Result<Tracer, Obstacle> {
    let options = Options {
        cpu,
        ..Options::default()
    };
    let mut tracer = Tracer::start(&options, drop)?;
    if watches {
        tracer.watch(std::process::id())?;
    }
    Ok(tracer)
}

fn traced(
    group: &mut BenchmarkGroup<Turns>,
    arm: &str,
    tracer: Tracer,
    client: &mut Client,
) -> Result<(), Obstacle> {
    let mut blocks = Blocks::new(tracer, BLOCK)?;
    let ran = time(group, arm, |times| {
        blocks.block(times, |_, times| client.ask(times))
    });
    let counts = blocks.hook().drain()?;
    if ran && (counts.assembled.spans > 0) != (arm == "event") {
        return Err(Obstacle::new(
            format!(
                "the arm {arm} ran, and gave {} spans",
                counts.assembled.spans
            ),
            "see cargo run -- host",
        ));
    }
    Ok(())
}

/// One connection, kept open.
struct Client {
    stream: TcpStream,
    room: Vec<u8>,
    answer: usize,
}

impl Client {
    fn connect(server: &Server) -> Result<Self, Obstacle> {
        let open = || -> std::io::Result<Self> {
            let mut stream = TcpStream::connect(server.address())?;
            stream.set_nodelay(true)?;
            stream.write_all(REQUEST)?;
            let mut room = vec![0; 4096];
            // The server writes an answer by one call, so that one read gives all of it.
            let answer = stream.read(&mut room)?;
            Ok(Self {
                stream,
                room,
                answer,
            })
        };
        open().map_err(|error| {
            Obstacle::new(
                format!("no connection over loopback: {error}"),
                "bring the loopback device up with: ip link set lo up",
            )
        })
    }

    fn ask(&mut self, times: u64) -> Duration {
        let start = Instant::now();
        let mut asked = Ok(());
        for _ in 0..times {
            asked = asked.and_then(|()| {
                self.stream.write_all(REQUEST)?;
                self.stream.read_exact(&mut self.room[..self.answer])
            });
        }
        let elapsed = start.elapsed();
        if let Err(error) = asked {
            fail(&format!("a request failed while it was timed: {error}"));
        }
        elapsed
    }
}

/// Times one arm; false where the command line asked for other benchmarks only.
fn time(group: &mut BenchmarkGroup<Turns>, arm: &str, mut block: impl FnMut(u64) -> Ns) -> bool {
    let mut ran = false;
    group.bench_function(arm, |bencher| {
        ran = true;
        bencher.iter_custom(&mut block);
    });
    ran
}
