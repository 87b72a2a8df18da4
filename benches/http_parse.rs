//! From bytes to a record of a request: its head alone, all of it as a server reads it,
//! and a span as the tracer makes it of a request and its response.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use probecost::agent::http::{Piece, PieceKind};
use probecost::load::http::{AnswerHead, AnswerReader, Request};
use probecost::pipeline::http::Assembler;
use probecost_bench::turns::Turns;

/// As a browser asks.
const REQUEST: &[u8] = b"GET /articles/2026/11/21/what-tracing-costs?page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 5\r\n\r\nhello";

fn main() {
    let mut criterion = probecost_bench::criterion();
    parse(&mut criterion);
    criterion.final_summary();
}

fn parse(criterion: &mut Criterion<Turns>) {
    let mut group = criterion.benchmark_group("http_parse");
    group.throughput(Throughput::Elements(1));
    group.bench_function("head", |bencher| {
        bencher.iter(|| Request::parse(black_box(REQUEST)).expect("a request"));
    });
    let mut messages = AnswerReader::<Request>::default();
    group.bench_function("request", |bencher| {
        bencher.iter(|| {
            messages.push(black_box(REQUEST));
            messages.take_whole().expect("a request")
        });
    });
    let mut assembler = Assembler::new(|span| drop(black_box(span)));
    let mut time_ns = 0;
    let mut piece = |kind, bytes: &'static [u8]| {
        time_ns += 1;
        Piece {
            time_ns,
            socket: 1,
            pid: 1,
            lost: 0,
            kind,
            length: bytes.len() as u64,
            bytes,
        }
    };
    group.bench_function("span", |bencher| {
        bencher.iter(|| {
            assembler.piece(&piece(PieceKind::In, black_box(REQUEST)));
            assembler.piece(&piece(PieceKind::Out, black_box(RESPONSE)));
        });
    });
    group.finish();
    // Asked for others only, it has made none.
    let made = assembler.counts();
    assert_eq!((made.incomplete, made.other), (0, 0), "each pair is a span");
}
