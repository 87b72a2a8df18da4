//! All connections.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::{Connection, Foreign, Place, Way};
use super::message::Bytes;
use rustix::time::ClockId;

use crate::agent::Sink;
use crate::agent::clock::now_ns;
use crate::agent::http::{Piece, PieceKind};
use crate::schema::span::HttpSpan;

/// How many connections are followed at once; beyond it, those quiet for longest go.
const MOST: usize = 1 << 16;

/// For how long nothing may come of a connection after a process closed a socket of it until
/// it counts as over: the process, or another, may hold the socket by another descriptor.
const SILENCE_NS: u64 = 1_000_000_000;

/// What the pieces came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Assembled {
    /// Spans given.
    pub spans: u64,
    /// Of these, how many had no whole response.
    pub incomplete: u64,
    /// Connections that spoke TLS.
    pub tls: u64,
    /// Connections that spoke HTTP/2.
    pub http2: u64,
    /// Connections that spoke neither, nor HTTP/1, or could not be followed.
    pub other: u64,
    /// Connections that were let go amid a request, since there were too many at once.
    pub let_go: u64,
    /// Records that were none.
    pub unreadable: u64,
}

/// Makes spans of pieces. Runs as a [`Sink`] behind the ring.
pub struct Assembler<F> {
    connections: HashMap<u64, Followed>,
    /// When a connection with something under way was closed, and which, oldest first.
    closed: VecDeque<(u64, u64)>,
    blind_until: BlindUntil,
    /// Pieces lost so far, as the last of them says that came.
    lost: u32,
    told: Told<F>,
}

/// Where spans go, and how many went.
struct Told<F> {
    counts: Arc<HttpCounts>,
    give: F,
}

impl<F: FnMut(HttpSpan)> Told<F> {
    fn tell(&mut self, span: HttpSpan) {
        count(&self.counts.spans);
        if !span.complete {
            count(&self.counts.incomplete);
        }
        (self.give)(span);
    }
}

/// The moment, in nanoseconds of the monotonic clock, before which something may have gone
/// unseen: what a connection said before it is not continued after it.
#[derive(Debug, Clone, Default)]
pub(super) struct BlindUntil(Arc<AtomicU64>);

impl BlindUntil {
    pub(super) fn now(&self) {
        self.0.store(now_ns(ClockId::Monotonic), Ordering::Release);
    }

    fn lies_between(&self, before_ns: u64, after_ns: u64) -> bool {
        let at_ns = self.0.load(Ordering::Acquire);
        before_ns < at_ns && at_ns <= after_ns
    }
}

#[derive(Debug)]
struct Followed {
    connection: Connection,
    last_ns: u64,
    /// Pieces lost when it was last heard of: one of those since may have been its own.
    lost: u32,
    /// What it was counted as, where it is no HTTP/1.
    foreign: Option<Foreign>,
    /// Who last read from it, and who last wrote to it; 0: nobody yet.
    pids: [u32; 2],
    /// Who did either.
    last_pid: u32,
    /// When one of them closed it, where nothing has come of it since.
    closed_ns: Option<u64>,
}

impl Followed {
    /// Tells what is under way as it stands; one of the pieces lost since may have been its own.
    fn finish(mut self, socket: u64, lost: u32, give: &mut impl FnMut(HttpSpan)) {
        let place = Place {
            pid: self.last_pid,
            connection: socket,
        };
        if self.closed_ns.is_some() && self.lost == lost {
            self.connection.close(place, give);
        } else {
            self.connection.give_up(place, give);
        }
    }
}

/// The counts, for those who look while it runs.
#[derive(Debug, Default)]
pub(super) struct HttpCounts {
    spans: AtomicU64,
    incomplete: AtomicU64,
    tls: AtomicU64,
    http2: AtomicU64,
    other: AtomicU64,
    let_go: AtomicU64,
    unreadable: AtomicU64,
}

impl HttpCounts {
    pub(super) fn read(&self) -> Assembled {
        let of = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Assembled {
            spans: of(&self.spans),
            incomplete: of(&self.incomplete),
            tls: of(&self.tls),
            http2: of(&self.http2),
            other: of(&self.other),
            let_go: of(&self.let_go),
            unreadable: of(&self.unreadable),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::AcqRel);
}

impl<F: FnMut(HttpSpan)> Assembler<F> {
    /// Gives every span to `give`.
    pub fn new(give: F) -> Self {
        Self {
            connections: HashMap::new(),
            closed: VecDeque::new(),
            blind_until: BlindUntil::default(),
            lost: 0,
            told: Told {
                counts: Arc::default(),
                give,
            },
        }
    }

    /// What it has come to so far.
    pub fn counts(&self) -> Assembled {
        self.told.counts.read()
    }

    pub(super) fn shared_counts(&self) -> Arc<HttpCounts> {
        Arc::clone(&self.told.counts)
    }

    pub(super) fn blind_until(&self) -> BlindUntil {
        self.blind_until.clone()
    }

    /// Takes one piece.
    pub fn piece(&mut self, piece: &Piece) {
        self.finish_closed(piece.time_ns);
        let place = Place {
            pid: piece.pid,
            connection: piece.socket,
        };
        let Self {
            connections,
            blind_until,
            lost,
            told,
            ..
        } = self;
        // Records of other CPUs may have read the count in another order than they came.
        if piece.lost.wrapping_sub(*lost).cast_signed() > 0 {
            *lost = piece.lost;
        }
        if let Some(followed) = connections.get_mut(&piece.socket)
            && (followed.lost != *lost || blind_until.lies_between(followed.last_ns, piece.time_ns))
        {
            let mut give = |span| told.tell(span);
            followed.connection.give_up(place, &mut give);
            followed.connection = Connection::new();
            followed.lost = *lost;
        }
        let way = match piece.kind {
            PieceKind::In => Way::In,
            PieceKind::Out => Way::Out,
            PieceKind::Ended => {
                if let Some(followed) = connections.get_mut(&piece.socket) {
                    followed.closed_ns = None;
                    let mut give = |span| told.tell(span);
                    followed.connection.end(place, &mut give);
                }
                return;
            }
            PieceKind::Closed => return self.close(piece.socket, piece),
            PieceKind::Exited => {
                let all = connections.iter();
                let its = all.filter(|(_, followed)| followed.pids.contains(&piece.pid));
                let sockets: Vec<u64> = its.map(|(&socket, _)| socket).collect();
                return sockets
                    .into_iter()
                    .for_each(|socket| self.close(socket, piece));
            }
        };
        if connections.len() >= MOST && !connections.contains_key(&piece.socket) {
            let_go_of_the_quiet(connections, *lost, told);
        }
        let followed = connections.entry(piece.socket).or_insert_with(|| Followed {
            connection: Connection::new(),
            last_ns: piece.time_ns,
            lost: *lost,
            foreign: None,
            pids: [0; 2],
            last_pid: piece.pid,
            closed_ns: None,
        });
        followed.last_ns = piece.time_ns;
        followed.pids[way as usize] = piece.pid;
        followed.last_pid = piece.pid;
        followed.closed_ns = None;
        let bytes = Bytes {
            time_ns: piece.time_ns,
            seen: piece.bytes,
            length: piece.length,
        };
        let mut give = |span| told.tell(span);
        let Some(foreign) = followed.connection.read(way, bytes, place, &mut give) else {
            return;
        };
        // Once, however often it is begun anew.
        if followed.foreign.replace(foreign) != Some(foreign) {
            count(match foreign {
                Foreign::Tls => &told.counts.tls,
                Foreign::Http2 => &told.counts.http2,
                Foreign::Other => &told.counts.other,
            });
        }
    }

    /// The process of the piece has let go of a socket. Others may hold it, and so may it: of a
    /// server that forks, the parent closes its copy while the child goes on, and who reads
    /// from one descriptor may write to its duplicate.
    fn close(&mut self, socket: u64, piece: &Piece) {
        let Entry::Occupied(mut entry) = self.connections.entry(socket) else {
            return;
        };
        let followed = entry.get_mut();
        if !followed.pids.contains(&piece.pid) {
            return;
        }
        if followed.connection.is_idle() {
            entry.remove();
        } else {
            followed.closed_ns = Some(piece.time_ns);
            self.closed.push_back((piece.time_ns, socket));
        }
    }

    /// Finishes connections of which nothing has come since they were closed.
    fn finish_closed(&mut self, now_ns: u64) {
        while let Some(&(closed_ns, socket)) = self.closed.front()
            && closed_ns.saturating_add(SILENCE_NS) <= now_ns
        {
            self.closed.pop_front();
            if let Entry::Occupied(entry) = self.connections.entry(socket)
                && entry.get().closed_ns == Some(closed_ns)
            {
                let told = &mut self.told;
                let followed = entry.remove();
                followed.finish(socket, self.lost, &mut |span| told.tell(span));
            }
        }
    }

    /// Takes no more: tells everything that is under way as it stands.
    pub fn finish(&mut self) {
        let told = &mut self.told;
        for (socket, followed) in self.connections.drain() {
            followed.finish(socket, self.lost, &mut |span| told.tell(span));
        }
        self.closed.clear();
    }
}

/// Lets the half of the connections go that have been quiet for longest.
fn let_go_of_the_quiet(
    connections: &mut HashMap<u64, Followed>,
    lost: u32,
    told: &mut Told<impl FnMut(HttpSpan)>,
) {
    let mut times: Vec<u64> = connections
        .values()
        .map(|followed| followed.last_ns)
        .collect();
    let half = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(half);
    for (socket, followed) in connections.extract_if(|_, f| f.last_ns <= median) {
        if !followed.connection.is_idle() {
            count(&told.counts.let_go);
        }
        followed.finish(socket, lost, &mut |span| told.tell(span));
    }
}

impl<F: FnMut(HttpSpan) + Send + 'static> Sink for Assembler<F> {
    fn take(&mut self, record: &[u8]) {
        match Piece::decode(record) {
            Some(piece) => self.piece(&piece),
            None => count(&self.told.counts.unreadable),
        }
    }

    fn idle(&mut self) {
        if !self.closed.is_empty() {
            self.finish_closed(now_ns(ClockId::Monotonic));
        }
    }

    fn end(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::schema::span::Side;

    const GET: &[u8] = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    const UNTIL_THE_END: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhello";

    /// What a server saw of a connection: everything that HTTP/1.1 does to a tracer.
    fn conversation() -> Vec<(PieceKind, Vec<u8>)> {
        let all: [(PieceKind, &[u8]); 12] = [
            (PieceKind::In, GET),
            (PieceKind::Out, HELLO),
            // A body in chunks, asked for behind a body of its own.
            (
                PieceKind::In,
                b"POST /2 HTTP/1.1\r\nContent-Length: 11\r\n\r\nGET / HTTP/",
            ),
            (
                PieceKind::Out,
                b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nHTTP\r\n3;x=y\r\n/1.\r\n0\r\nA: b\r\n\r\n",
            ),
            // Three at once, answered one by one; to HEAD without the body it speaks of.
            (
                PieceKind::In,
                b"HEAD /3 HTTP/1.1\r\n\r\nDELETE /4 HTTP/1.1\r\n\r\nGET /5 HTTP/1.1\r\n\r\n",
            ),
            (PieceKind::Out, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
            (PieceKind::Out, b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
            // An interim answer.
            (
                PieceKind::In,
                b"PUT /6 HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            (PieceKind::Out, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (PieceKind::In, b"2\r\nab\r\n0\r\n\r\n"),
            (PieceKind::Out, b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\nuntil the end"),
            (PieceKind::Closed, b""),
        ];
        all.into_iter()
            .map(|(kind, bytes)| (kind, bytes.to_vec()))
            .collect()
    }

    /// (method, path, status, response bytes) of each span.
    type Short = (String, String, Option<u16>, u64);

    fn short(span: &HttpSpan) -> Short {
        assert_eq!(span.side, Side::Server);
        (
            span.method.clone(),
            span.path.clone(),
            span.status,
            span.response_bytes,
        )
    }

    fn spans(pieces: &[(PieceKind, Vec<u8>)]) -> (Vec<HttpSpan>, Assembled) {
        let spans = Rc::new(RefCell::new(Vec::new()));
        let inner = Rc::clone(&spans);
        let mut assembler = Assembler::new(move |span| inner.borrow_mut().push(span));
        for (time, (kind, bytes)) in pieces.iter().enumerate() {
            assembler.piece(&Piece {
                time_ns: time as u64,
                socket: 7,
                pid: 1,
                lost: 0,
                kind: *kind,
                length: bytes.len() as u64,
                bytes,
            });
        }
        assembler.finish();
        let counts = assembler.counts();
        drop(assembler);
        (Rc::try_unwrap(spans).unwrap().into_inner(), counts)
    }

    fn expected() -> Vec<Short> {
        [
            ("GET", "/1", 200, 43),
            ("POST", "/2", 201, 84),
            ("HEAD", "/3", 200, 40),
            ("DELETE", "/4", 204, 27),
            ("GET", "/5", 304, 48),
            ("PUT", "/6", 500, 51),
        ]
        .into_iter()
        .map(|(method, path, status, bytes)| {
            (method.to_owned(), path.to_owned(), Some(status), bytes)
        })
        .collect()
    }

    #[test]
    fn a_conversation_gives_its_spans() {
        let (spans, counts) = spans(&conversation());
        assert_eq!(spans.iter().map(short).collect::<Vec<_>>(), expected());
        assert!(spans.iter().all(|span| span.complete));
        assert_eq!((counts.spans, counts.other), (6, 0));
        assert_eq!((spans[0].start_ns, spans[0].duration_ns), (0, 1));
        // From the first byte of the request to the last of the response.
        assert_eq!((spans[5].start_ns, spans[5].end_ns()), (7, 10));
    }

    #[test]
    fn cut_at_any_byte_it_gives_the_same() {
        let whole = conversation();
        for (at, (kind, bytes)) in whole.iter().enumerate() {
            for cut in 1..bytes.len().max(1) {
                let mut pieces = whole.clone();
                pieces[at].1.truncate(cut);
                pieces.insert(at + 1, (*kind, bytes[cut..].to_vec()));
                let (spans, _) = spans(&pieces);
                assert_eq!(
                    spans.iter().map(short).collect::<Vec<_>>(),
                    expected(),
                    "piece {at} cut at {cut}"
                );
            }
        }
        let bytewise: Vec<_> = whole
            .iter()
            .flat_map(|(kind, bytes)| match bytes.is_empty() {
                true => vec![(*kind, Vec::new())],
                false => bytes.iter().map(|&byte| (*kind, vec![byte])).collect(),
            })
            .collect();
        assert_eq!(
            spans(&bytewise).0.iter().map(short).collect::<Vec<_>>(),
            expected()
        );
    }

    #[test]
    fn a_client_sees_the_same_the_other_way_round() {
        let turned: Vec<_> = conversation()
            .into_iter()
            .map(|(kind, bytes)| match kind {
                PieceKind::In => (PieceKind::Out, bytes),
                PieceKind::Out => (PieceKind::In, bytes),
                other => (other, bytes),
            })
            .collect();
        let (spans, _) = spans(&turned);
        assert_eq!(spans.len(), 6);
        assert!(spans.iter().all(|span| span.side == Side::Client));
    }

    #[test]
    fn bodies_need_not_be_seen() {
        let mut taken = Vec::new();
        let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span));
        let mut piece = |kind, bytes: &[u8], length| {
            assembler.piece(&Piece {
                time_ns: 1,
                socket: 7,
                pid: 1,
                lost: 0,
                kind,
                length,
                bytes,
            });
        };
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        for _ in 0..3 {
            piece(PieceKind::In, GET, GET.len() as u64);
            piece(PieceKind::Out, head, head.len() as u64 + 60_000);
            piece(PieceKind::Out, b"", 40_000);
        }
        assert_eq!(taken.len(), 3);
        assert_eq!(taken[2].response_bytes, head.len() as u64 + 100_000);
    }

    #[test]
    fn chunks_that_went_unseen_end_with_the_next_answer() {
        let mut taken = Vec::new();
        let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span));
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf";
        for _ in 0..3 {
            for (kind, bytes, unseen) in
                [(PieceKind::In, GET, 0), (PieceKind::Out, &head[..], 10_000)]
            {
                assembler.piece(&Piece {
                    time_ns: 1,
                    socket: 7,
                    pid: 1,
                    lost: 0,
                    kind,
                    length: bytes.len() as u64 + unseen,
                    bytes,
                });
            }
        }
        drop(assembler);
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn what_is_not_http_is_said_to_be_so() {
        for (first, tls, http2, other) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], 1, 0, 0),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 1, 0),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", 0, 0, 1),
            (b"GET /\x01 x\r\n\r\n", 0, 0, 1),
            (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 0, 0, 1),
        ] {
            let (spans, counts) = spans(&[
                (PieceKind::In, first.to_vec()),
                (PieceKind::Out, HELLO.to_vec()),
            ]);
            assert!(spans.is_empty());
            assert_eq!(
                (counts.tls, counts.http2, counts.other),
                (tls, http2, other),
                "{first:?}"
            );
        }
    }

    /// As where it was attached in the middle of a body, or its beginning was lost.
    #[test]
    fn after_the_rest_of_a_body_the_next_request_is_seen() {
        let (rest, asked) = (
            (PieceKind::Out, b"orld".to_vec()),
            (PieceKind::In, GET.to_vec()),
        );
        let answered = (PieceKind::Out, HELLO.to_vec());
        let told = |pieces: &[(PieceKind, Vec<u8>)]| {
            let (spans, counts) = spans(pieces);
            (
                spans.iter().map(|s| s.complete).collect::<Vec<_>>(),
                counts.other,
            )
        };
        let seen = [rest.clone(), rest.clone(), asked, answered];
        assert_eq!(told(&seen), (vec![true], 1));
        // Another protocol is not looked at for ever.
        let turns = [rest, (PieceKind::In, b"\x01".to_vec())];
        let strange: Vec<_> = turns.iter().cycle().take(50).cloned().collect();
        assert_eq!(told(&[&strange[..], &seen[2..]].concat()), (vec![], 1));
    }

    #[test]
    fn what_was_asked_before_nothing_was_seen_is_not_answered_after_it() {
        let mut taken = Vec::new();
        let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span));
        let blind_until = assembler.blind_until();
        let mut piece = |kind, bytes: &[u8]| {
            assembler.piece(&Piece {
                time_ns: now_ns(ClockId::Monotonic),
                socket: 7,
                pid: 1,
                lost: 0,
                kind,
                length: bytes.len() as u64,
                bytes,
            });
        };
        piece(PieceKind::In, b"GET /1 HTTP/1.1\r\n\r\n");
        // Its answer goes unseen.
        blind_until.now();
        piece(PieceKind::In, b"GET /2 HTTP/1.1\r\n\r\n");
        piece(PieceKind::Out, HELLO);
        let told: Vec<_> = taken
            .iter()
            .map(|s| (s.path.as_str(), s.complete))
            .collect();
        assert_eq!(told, [("/1", false), ("/2", true)]);
    }

    /// A piece of any connection that was lost may have been of this one.
    #[test]
    fn where_a_piece_was_lost_no_span_claims_more_than_was_seen() {
        const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhel";
        let (asked, answered, closed) = (PieceKind::In, PieceKind::Out, PieceKind::Closed);
        for (pieces, told) in [
            // The answer to the first; its request is not answered by the next.
            (
                [(0, asked, GET), (1, asked, GET), (1, answered, HELLO)],
                &[false, true][..],
            ),
            // The first request of all.
            (
                [(3, answered, HELLO), (3, asked, GET), (3, answered, HELLO)],
                &[true],
            ),
            // The middle of an answer that lasts until the end.
            (
                [(0, asked, GET), (0, answered, BEGUN), (1, closed, b"")],
                &[false],
            ),
            // Its end: what went before it was whole.
            (
                [(0, asked, GET), (0, answered, HELLO), (1, closed, b"")],
                &[true],
            ),
            // On two CPUs the count is read in another order than the pieces come.
            (
                [(1, asked, GET), (0, answered, HELLO), (1, closed, b"")],
                &[true],
            ),
        ] {
            let mut taken = Vec::new();
            let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span.complete));
            for (time, (lost, kind, bytes)) in (0..).zip(pieces) {
                assembler.piece(&Piece {
                    time_ns: time,
                    socket: 7,
                    pid: 1,
                    lost,
                    kind,
                    length: bytes.len() as u64,
                    bytes,
                });
            }
            assert_eq!(assembler.counts().other, 0);
            drop(assembler);
            assert_eq!(taken, told, "{pieces:?}");
        }
    }

    /// Those that wait for a request begin anew with it, and nothing is lost.
    #[test]
    fn connections_that_are_let_go_amid_a_request_are_told() {
        let mut taken = Vec::new();
        let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span));
        for (time, socket) in (0..).zip(0..=MOST as u64) {
            let kinds = match socket % 2 {
                0 => &[(PieceKind::In, GET), (PieceKind::Out, HELLO)][..],
                _ => &[(PieceKind::In, GET)],
            };
            for &(kind, bytes) in kinds {
                assembler.piece(&Piece {
                    time_ns: time,
                    socket,
                    pid: 1,
                    lost: 0,
                    kind,
                    length: bytes.len() as u64,
                    bytes,
                });
            }
        }
        let counts = assembler.counts();
        drop(assembler);
        let told = taken.iter().filter(|span| !span.complete);
        let told: Vec<_> = told.map(|span| (span.connection, span.pid)).collect();
        assert_eq!(counts.let_go, MOST as u64 / 4);
        assert_eq!(told.len() as u64, counts.let_go);
        assert!(
            told.iter()
                .all(|&(socket, pid)| socket < MOST as u64 / 2 + 1 && pid == 1)
        );
    }

    /// As where answers leave by io_uring.
    #[test]
    fn a_connection_whose_answers_go_unseen_is_given_up() {
        let asked = vec![(PieceKind::In, GET.to_vec()); 5_000];
        let (spans, counts) = spans(&asked);
        assert_eq!((spans.len(), counts.other), (1024, 1));
        assert!(spans.iter().all(|span| !span.complete));
    }

    #[test]
    fn a_tunnel_that_is_refused_is_answered_with_a_body() {
        let connect = b"CONNECT a:443 HTTP/1.1\r\n\r\n";
        let refused = b"HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nlogin";
        let granted = b"HTTP/1.1 204 Go\r\n\r\n\x16\x03\x01 hidden";
        let conversation: [(PieceKind, &[u8]); 7] = [
            (PieceKind::In, connect),
            (PieceKind::Out, refused),
            (PieceKind::In, GET),
            (PieceKind::Out, HELLO),
            (PieceKind::In, connect),
            (PieceKind::Out, granted),
            (PieceKind::Closed, b""),
        ];
        let pieces: Vec<_> = conversation
            .into_iter()
            .map(|(kind, bytes)| (kind, bytes.to_vec()))
            .collect();
        let (spans, counts) = spans(&pieces);
        let statuses: Vec<_> = spans.iter().map(|s| (s.status, s.complete)).collect();
        assert_eq!(
            statuses,
            [(Some(407), true), (Some(200), true), (Some(204), true)]
        );
        assert_eq!(spans[0].response_bytes, refused.len() as u64);
        assert_eq!(counts.other, 0);
    }

    /// As where one thread of a client writes and another reads: the hook at the end of a write
    /// may run when the answer has been read.
    #[test]
    fn an_answer_that_comes_before_its_request_is_that_of_no_other() {
        const GET_2: &[u8] = b"GET /2 HTTP/1.1\r\n\r\n";
        const MISSING: &[u8] = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
        let asked = |bytes: &[u8]| (PieceKind::Out, bytes.to_vec());
        let answered = |bytes: &[u8]| (PieceKind::In, bytes.to_vec());
        let both: [(&str, Option<u16>); 2] = [("/1", Some(200)), ("/2", Some(404))];
        for (pieces, told) in [
            // The first of all, and a later one.
            (
                [answered(HELLO), asked(GET), asked(GET_2), answered(MISSING)],
                &both[..],
            ),
            (
                [asked(GET), answered(HELLO), answered(MISSING), asked(GET_2)],
                &both,
            ),
            // One whose request nobody saw, since it was made before.
            (
                [answered(MISSING), asked(GET), answered(HELLO), asked(b"")],
                &both[..1],
            ),
            // Two at once say nothing of what came before.
            (
                [
                    answered(MISSING),
                    asked(&[GET, GET_2].concat()),
                    answered(HELLO),
                    answered(MISSING),
                ],
                &both,
            ),
        ] {
            let (spans, counts) = spans(&pieces);
            let got: Vec<_> = spans.iter().map(|s| (s.path.as_str(), s.status)).collect();
            assert_eq!(got, told);
            assert!(spans.iter().all(|span| span.complete));
            assert_eq!(counts.other, 0);
        }
        let (spans, counts) = spans(&vec![answered(HELLO); 5_000]);
        assert_eq!((spans.len(), counts.other), (0, 1));
    }

    /// What lasts until the connection ends, a server ends by its close; to a client the end
    /// comes, unless it goes before.
    #[test]
    fn a_client_that_hangs_up_has_no_whole_answer() {
        let (asked, answered) = (PieceKind::Out, PieceKind::In);
        let closed = (PieceKind::Closed, b"".to_vec());
        let ended = (PieceKind::Ended, b"".to_vec());
        for (asked, answered, end, complete) in [
            (asked, answered, vec![closed.clone()], false),
            (asked, answered, vec![ended, closed.clone()], true),
            (answered, asked, vec![closed], true),
        ] {
            let begin = [(asked, GET.to_vec()), (answered, UNTIL_THE_END.to_vec())];
            let (spans, _) = spans(&[&begin[..], &end[..]].concat());
            assert_eq!((spans[0].status, spans[0].complete), (Some(200), complete));
            assert_eq!(spans.len(), 1);
        }
    }

    /// It makes no call to close its sockets, which may all the same be another's.
    #[test]
    fn a_process_that_ends_closes_its_sockets() {
        let (server, child) = (1, 2);
        let read = |pid, socket| (pid, socket, PieceKind::In, GET);
        let wrote = |pid, socket, bytes| (pid, socket, PieceKind::Out, bytes);
        let exited = |pid| (pid, 0, PieceKind::Exited, &b""[..]);
        for (pieces, told) in [
            (
                [
                    read(server, 7),
                    read(server, 8),
                    exited(child),
                    exited(server),
                ],
                &[(7, false), (8, false)][..],
            ),
            (
                [
                    read(server, 7),
                    wrote(server, 7, UNTIL_THE_END),
                    read(child, 8),
                    exited(server),
                ],
                &[(7, true)],
            ),
            (
                [
                    read(server, 7),
                    exited(server),
                    wrote(child, 7, HELLO),
                    exited(child),
                ],
                &[(7, true)],
            ),
        ] {
            let mut taken = Vec::new();
            let mut assembler = Assembler::new(|span: HttpSpan| {
                taken.push((span.connection, span.complete));
            });
            for (time_ns, (pid, socket, kind, bytes)) in (0..).zip(pieces) {
                assembler.piece(&Piece {
                    time_ns,
                    socket,
                    pid,
                    lost: 0,
                    kind,
                    length: bytes.len() as u64,
                    bytes,
                });
            }
            // Long after, and before the end of all.
            assembler.finish_closed(u64::MAX);
            drop(assembler);
            taken.sort_unstable();
            assert_eq!(taken, told, "{pieces:?}");
        }
    }

    #[test]
    fn only_who_reads_or_writes_ends_a_connection() {
        let (parent, child) = (1, 2);
        let closed = |pid| (pid, PieceKind::Closed, &b""[..]);
        // The parent of a server that forks closes its copy while the child answers, and the
        // parent of one whose child only answers ends the connection.
        for (pieces, complete) in [
            (
                [
                    (child, PieceKind::In, GET),
                    closed(parent),
                    (child, PieceKind::Out, HELLO),
                    closed(child),
                ],
                [true],
            ),
            (
                [
                    (parent, PieceKind::In, GET),
                    (child, PieceKind::Out, UNTIL_THE_END),
                    closed(3),
                    closed(parent),
                ],
                [true],
            ),
            (
                [
                    (child, PieceKind::In, GET),
                    closed(parent),
                    closed(child),
                    closed(child),
                ],
                [false],
            ),
        ] {
            let mut taken = Vec::new();
            let mut assembler = Assembler::new(|span: HttpSpan| taken.push(span.complete));
            for (time, (pid, kind, bytes)) in (0..).zip(pieces) {
                assembler.piece(&Piece {
                    time_ns: time,
                    socket: 7,
                    pid,
                    lost: 0,
                    kind,
                    length: bytes.len() as u64,
                    bytes,
                });
            }
            assembler.finish();
            drop(assembler);
            assert_eq!(taken, complete, "{pieces:?}");
        }
    }

    /// 408 to a head that does not come, 431 to one that is too long, 413 to a body.
    #[test]
    fn a_request_may_be_answered_before_it_is_whole() {
        const REFUSED: &[u8] = b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n";
        const BEGUN: &[u8] = b"POST /1 HTTP/1.1\r\nContent-Length: 99\r\n\r\nhello";
        for (asked, method, path, complete) in [
            (&GET[..2], "", "", false),
            (&GET[..20], "GET", "/1", true),
            (BEGUN, "POST", "/1", true),
        ] {
            let (spans, counts) = spans(&[
                (PieceKind::In, GET.to_vec()),
                (PieceKind::Out, HELLO.to_vec()),
                (PieceKind::In, asked.to_vec()),
                (PieceKind::Out, REFUSED.to_vec()),
                (PieceKind::Closed, Vec::new()),
            ]);
            let [_, span] = &spans[..] else {
                panic!("{spans:?}");
            };
            assert_eq!(
                (span.method.as_str(), span.path.as_str(), span.status),
                (method, path, Some(400))
            );
            assert_eq!(span.request_bytes, asked.len() as u64);
            assert_eq!(span.complete, complete);
            assert_eq!(counts.other, 0);
        }
        // The rest of the body belongs to no request that follows.
        let rest = [vec![b'x'; 94], GET.to_vec()].concat();
        let (spans, _) = spans(&[
            (PieceKind::In, BEGUN.to_vec()),
            (PieceKind::Out, REFUSED.to_vec()),
            (PieceKind::In, rest),
            (PieceKind::Out, HELLO.to_vec()),
        ]);
        let told: Vec<_> = spans.iter().map(|s| (s.status, s.request_bytes)).collect();
        assert_eq!(told, [(Some(400), 45), (Some(200), GET.len() as u64)]);
    }

    #[test]
    fn a_duplicate_that_is_closed_ends_nothing() {
        let closed = (PieceKind::Closed, Vec::new());
        let (spans, counts) = spans(&[
            (PieceKind::In, GET.to_vec()),
            closed.clone(),
            (PieceKind::Out, HELLO.to_vec()),
            closed,
        ]);
        assert_eq!((spans[0].status, spans[0].complete), (Some(200), true));
        assert_eq!(counts.spans, 1);
    }

    /// Not at its close, and not only at the end of all.
    #[test]
    fn a_connection_that_was_closed_and_stays_silent_is_over() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut assembler = Assembler::new(move |span: HttpSpan| tell.send(span).unwrap());
        for (time_ns, socket, kind, bytes, over) in [
            (1, 7, PieceKind::In, GET, 0),
            (2, 7, PieceKind::Closed, b"", 0),
            (SILENCE_NS, 8, PieceKind::In, GET, 0),
            (SILENCE_NS + 2, 8, PieceKind::Out, b"HTTP", 1),
        ] {
            assembler.piece(&Piece {
                time_ns,
                socket,
                pid: 1,
                lost: 0,
                kind,
                length: bytes.len() as u64,
                bytes,
            });
            assert_eq!(told.try_iter().count(), over, "at {time_ns}");
        }
        // Long ago, by the clock.
        assembler.piece(&Piece {
            time_ns: SILENCE_NS + 3,
            socket: 8,
            pid: 1,
            lost: 0,
            kind: PieceKind::Closed,
            length: 0,
            bytes: b"",
        });
        assembler.idle();
        assert_eq!(told.try_iter().count(), 1);
    }

    #[test]
    fn a_request_without_an_answer_is_told_when_the_connection_ends() {
        let (spans, counts) = spans(&[
            (PieceKind::In, GET.to_vec()),
            (PieceKind::Closed, Vec::new()),
        ]);
        assert_eq!((spans[0].status, spans[0].complete), (None, false));
        assert_eq!(counts.incomplete, 1);
    }

    /// Random buffers and mutated conversations; PROBECOST_FUZZ says how many more.
    #[test]
    fn no_buffer_is_too_strange() {
        let more: u64 = std::env::var("PROBECOST_FUZZ").map_or(1, |n| n.parse().unwrap());
        let mut random = fastrand::Rng::with_seed(11);
        let whole = conversation();
        let mut assembler = Assembler::new(|_| {});
        for round in 0..5_000 * more {
            let mut pieces = whole.clone();
            for _ in 0..random.u32(1..6) {
                let at = random.usize(..pieces.len());
                let bytes = &mut pieces[at].1;
                match random.u8(..4) {
                    0 if !bytes.is_empty() => {
                        let byte = random.usize(..bytes.len());
                        bytes[byte] = random.u8(..);
                    }
                    1 => bytes.truncate(random.usize(..=bytes.len())),
                    2 => *bytes = std::iter::repeat_with(|| random.u8(..)).take(30).collect(),
                    _ => {
                        pieces.swap_remove(at);
                        if pieces.is_empty() {
                            break;
                        }
                    }
                }
            }
            for (kind, bytes) in &pieces {
                assembler.piece(&Piece {
                    time_ns: round,
                    socket: round % 50,
                    pid: 1,
                    lost: 0,
                    kind: *kind,
                    length: bytes.len() as u64
                        + u64::from(random.u8(..4) == 0) * random.u64(..1 << 33),
                    bytes,
                });
            }
        }
        assert!(assembler.counts().spans > 0);
    }
}
