//! One connection: requests one way, responses the other, matched in their order.

use std::collections::VecDeque;

use super::message::{Bytes, Carries, Head, Messages, StreamEvent, begins};
use crate::schema::span::{HttpSpan, Side};

/// How many requests of a connection may wait for their answers.
const MOST_OPEN: usize = 1024;

/// How often a stream that does not begin like HTTP is looked at again.
const MOST_TRIES: u8 = 16;

/// What a stream turned out to be that carries no HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    Tls,
    Http2,
    Other,
}

/// A connection as one of its ends sees it.
#[derive(Debug)]
pub(super) enum Connection {
    /// The bytes so far, all of one direction, do not say what it is.
    Unknown {
        held: Vec<u8>,
        since_ns: u64,
        /// How often it may yet go astray.
        tries: u8,
    },
    /// What went this way began no message: it may be the rest of one whose beginning was
    /// not seen. What comes the other way next may begin another.
    Astray {
        way: Way,
        tries: u8,
    },
    Http(Box<Exchange>),
    Foreign,
}

/// Which way bytes went, from the process' view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// Requests and responses.
#[derive(Debug)]
pub(super) struct Exchange {
    requests: Messages,
    responses: Messages,
    asked: Asked,
    /// The status of the response that is being read.
    status: Option<u16>,
}

/// What was asked.
#[derive(Debug)]
struct Asked {
    side: Side,
    /// Not answered yet, oldest first; the last may still be read.
    open: VecDeque<Open>,
    /// Answers that came while nothing was open: where one thread of a client writes and
    /// another reads, an answer may be there before the write is seen to return.
    early: VecDeque<Answer>,
    /// Whether such an answer must be that of the next request. Not where the first that was
    /// seen of the connection was an answer: it may be that of a request before.
    settled: bool,
}

#[derive(Debug)]
struct Open {
    start_ns: u64,
    last_ns: u64,
    method: String,
    path: String,
    bytes: u64,
}

/// A response, or what there is of it.
#[derive(Debug)]
struct Answer {
    status: Option<u16>,
    end_ns: u64,
    bytes: u64,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self::Unknown {
            held: Vec::new(),
            since_ns: 0,
            tries: MOST_TRIES,
        }
    }

    /// Reads on. Gives what it is where that shows now and is not HTTP/1.
    pub(super) fn read(
        &mut self,
        way: Way,
        bytes: Bytes,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> Option<Foreign> {
        let mut bytes = bytes;
        let first;
        if let Self::Astray { way: astray, tries } = *self
            && astray != way
        {
            *self = Self::Unknown {
                held: Vec::new(),
                since_ns: 0,
                tries: tries - 1,
            };
        }
        if let Self::Unknown {
            held,
            since_ns,
            tries,
        } = self
        {
            if held.is_empty() {
                *since_ns = bytes.time_ns;
            }
            held.extend_from_slice(bytes.seen);
            let unseen = bytes.length - bytes.seen.len() as u64;
            match side(way, held) {
                Some(Ok(side)) => {
                    first = std::mem::take(held);
                    bytes = Bytes {
                        time_ns: *since_ns,
                        seen: &first,
                        length: first.len() as u64 + unseen,
                    };
                    *self = Self::Http(Box::new(Exchange::new(side, way)));
                }
                None if unseen == 0 => return None,
                verdict => {
                    let foreign = verdict.and_then(Result::err).unwrap_or(Foreign::Other);
                    *self = match (foreign, *tries) {
                        (Foreign::Other, 1..) => Self::Astray { way, tries: *tries },
                        _ => Self::Foreign,
                    };
                    return Some(foreign);
                }
            }
        }
        let Self::Http(exchange) = self else {
            return None;
        };
        if !exchange.read(way, bytes, place, give) {
            return None;
        }
        exchange.abandon(place, give);
        *self = Self::Foreign;
        Some(Foreign::Other)
    }

    /// Whether nothing of it is under way.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Unknown { held, .. } => held.is_empty(),
            Self::Http(exchange) => exchange.is_idle(),
            Self::Astray { .. } | Self::Foreign => true,
        }
    }

    /// The other end sends no more.
    pub(super) fn end(&mut self, place: Place, give: &mut impl FnMut(HttpSpan)) {
        if let Self::Http(exchange) = self {
            exchange.end(Side::Client, place, give);
        }
    }

    /// This end is closed: what a server answers ends with it, while a client may not have
    /// read to the end. What was asked and not answered is told, too.
    pub(super) fn close(&mut self, place: Place, give: &mut impl FnMut(HttpSpan)) {
        if let Self::Http(exchange) = self {
            exchange.end(Side::Server, place, give);
            exchange.abandon(place, give);
        }
    }

    /// Something of it went unseen: no answer is whole.
    pub(super) fn give_up(&mut self, place: Place, give: &mut impl FnMut(HttpSpan)) {
        if let Self::Http(exchange) = self {
            exchange.abandon(place, give);
        }
    }
}

/// Where a span belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub pid: u32,
    pub connection: u64,
}

/// What the first bytes say; none where they are too few.
fn side(way: Way, bytes: &[u8]) -> Option<Result<Side, Foreign>> {
    const HTTP2: &[u8] = b"PRI * HTTP/2";
    let common = HTTP2.len().min(bytes.len());
    if bytes[..common] == HTTP2[..common] {
        return (common == HTTP2.len()).then_some(Err(Foreign::Http2));
    }
    // A record of TLS: handshake, alert or data, of a version 3.x.
    if matches!(bytes, [0x14..=0x17, 0x03, ..]) {
        return Some(Err(Foreign::Tls));
    }
    if matches!(bytes, [0x14..=0x17]) {
        return None;
    }
    let whole_word = bytes.contains(&b' ');
    let (asking, answering) = match way {
        Way::In => (Side::Server, Side::Client),
        Way::Out => (Side::Client, Side::Server),
    };
    if begins(Carries::Responses, bytes) {
        // `H` may begin a HEAD as well.
        return (bytes.len() >= 5).then_some(Ok(answering));
    }
    match begins(Carries::Requests, bytes) {
        true => whole_word.then_some(Ok(asking)),
        false => Some(Err(Foreign::Other)),
    }
}

fn carries(side: Side, way: Way) -> Carries {
    match (side, way) {
        (Side::Server, Way::In) | (Side::Client, Way::Out) => Carries::Requests,
        (Side::Server, Way::Out) | (Side::Client, Way::In) => Carries::Responses,
    }
}

impl Exchange {
    /// Begun by something that went this way.
    fn new(side: Side, way: Way) -> Self {
        Self {
            requests: Messages::new(Carries::Requests),
            responses: Messages::new(Carries::Responses),
            asked: Asked {
                side,
                open: VecDeque::new(),
                early: VecDeque::new(),
                settled: carries(side, way) == Carries::Requests,
            },
            status: None,
        }
    }

    fn is_idle(&self) -> bool {
        let messages = [&self.requests, &self.responses];
        self.asked.open.is_empty() && messages.iter().all(|m| m.under_way().is_none())
    }

    /// Whether the stream turned out not to be HTTP.
    fn read(
        &mut self,
        way: Way,
        bytes: Bytes,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        match carries(self.asked.side, way) {
            Carries::Requests => self.read_requests(bytes, place, give),
            Carries::Responses => self.read_responses(bytes, place, give),
        }
    }

    fn read_requests(
        &mut self,
        bytes: Bytes,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        let open = &mut self.asked.open;
        let mut foreign = false;
        self.requests.read(
            bytes,
            |_| false,
            |event| match event {
                // Their answers go unseen.
                StreamEvent::Begin(_) if open.len() >= MOST_OPEN => foreign = true,
                StreamEvent::Begin(start_ns) => open.push_back(Open {
                    start_ns,
                    last_ns: start_ns,
                    method: String::new(),
                    path: String::new(),
                    bytes: 0,
                }),
                StreamEvent::Head(Head::Request { method, path }) => {
                    if let Some(last) = open.back_mut() {
                        (last.method, last.path) = (method, path);
                    }
                }
                StreamEvent::End { time_ns, bytes } => {
                    if let Some(last) = open.back_mut() {
                        (last.last_ns, last.bytes) = (time_ns, bytes);
                    }
                }
                StreamEvent::Head(Head::Response(_)) | StreamEvent::Foreign => foreign = true,
            },
        );
        let tunnel = self.asked.catch_up(self.requests.under_way(), place, give);
        if tunnel {
            self.open_tunnel();
        }
        foreign && !tunnel
    }

    fn read_responses(
        &mut self,
        bytes: Bytes,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        let Self {
            requests,
            responses,
            asked,
            status,
        } = self;
        let so_far = requests.under_way();
        let asked = std::cell::RefCell::new(asked);
        let mut foreign = false;
        let mut tunnel = false;
        let head_only = |status| {
            let asked = asked.borrow();
            let next = asked.open.front();
            next.is_some_and(|open| open.method == "HEAD" || begins_tunnel(&open.method, status))
        };
        responses.read(bytes, head_only, |event| match event {
            StreamEvent::Begin(_) => {}
            StreamEvent::Head(Head::Response(code)) => *status = Some(code),
            StreamEvent::End { time_ns, bytes } => {
                let answer = Answer {
                    status: status.take(),
                    end_ns: time_ns,
                    bytes,
                };
                // An interim response leaves its request open.
                if !matches!(answer.status, Some(100 | 102..=199)) {
                    tunnel |= asked.borrow_mut().answer(answer, so_far, place, give);
                }
            }
            StreamEvent::Head(Head::Request { .. }) | StreamEvent::Foreign => foreign = true,
        });
        // Requests go unseen.
        foreign |= self.asked.early.len() > MOST_OPEN;
        if tunnel {
            self.open_tunnel();
        }
        // What came through a tunnel with the answer that opened it is none of ours.
        foreign && !tunnel
    }

    fn open_tunnel(&mut self) {
        self.requests.turn_foreign();
        self.responses.turn_foreign();
    }

    /// Responses end, where this is that side.
    fn end(&mut self, side: Side, place: Place, give: &mut impl FnMut(HttpSpan)) {
        if self.asked.side != side {
            return;
        }
        let Self {
            requests,
            responses,
            asked,
            status,
        } = self;
        let so_far = requests.under_way();
        responses.finish(|event| {
            if let StreamEvent::End { time_ns, bytes } = event {
                let answer = Answer {
                    status: status.take(),
                    end_ns: time_ns,
                    bytes,
                };
                asked.answer(answer, so_far, place, give);
            }
        });
    }

    /// Tells of what was asked and has no whole answer.
    fn abandon(&mut self, place: Place, give: &mut impl FnMut(HttpSpan)) {
        let so_far = self.requests.under_way();
        while let Some(request) = self.asked.next(so_far) {
            if !request.method.is_empty() {
                let answer = Answer {
                    status: self.status.take(),
                    end_ns: request.last_ns,
                    bytes: 0,
                };
                give(span(self.asked.side, request, answer, place, false));
            }
        }
    }
}

impl Asked {
    /// Takes an answer. Whether what follows is no HTTP any more.
    fn answer(
        &mut self,
        answer: Answer,
        so_far: Option<u64>,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        let Some(request) = self.next(so_far) else {
            if self.side == Side::Client {
                self.early.push_back(answer);
            }
            return false;
        };
        // What came before was another's.
        self.early.clear();
        self.settled = true;
        self.give(request, answer, place, give)
    }

    /// Lets requests have the answers that came before them. Whether what follows is no HTTP
    /// any more.
    fn catch_up(
        &mut self,
        so_far: Option<u64>,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        if self.early.is_empty() {
            return false;
        }
        // Who asks again, and not at once, has the answer to what was asked before.
        let second = self.open.get(1);
        self.settled |= second.is_some_and(|second| self.open[0].start_ns < second.start_ns);
        let mut tunnel = false;
        while self.settled
            && !self.open.is_empty()
            && let Some(answer) = self.early.pop_front()
            && let Some(request) = self.next(so_far)
        {
            tunnel |= self.give(request, answer, place, give);
        }
        tunnel
    }

    /// Gives the span of an answered request. Whether what follows is no HTTP any more.
    fn give(
        &self,
        request: Open,
        answer: Answer,
        place: Place,
        give: &mut impl FnMut(HttpSpan),
    ) -> bool {
        let opens = answer
            .status
            .is_some_and(|status| status == 101 || begins_tunnel(&request.method, status));
        // Answered before it said what it wants (408).
        let complete = !request.method.is_empty();
        give(span(self.side, request, answer, place, complete));
        opens
    }

    /// The request whose turn it is; `so_far` are the bytes of one that is still being read.
    fn next(&mut self, so_far: Option<u64>) -> Option<Open> {
        let mut request = self.open.pop_front()?;
        if let Some(bytes) = so_far
            && self.open.is_empty()
        {
            request.bytes = bytes;
        }
        Some(request)
    }
}

/// Whether what follows is no HTTP any more. Whoever does not let a tunnel through answers
/// like anyone else.
fn begins_tunnel(method: &str, status: u16) -> bool {
    method == "CONNECT" && (200..300).contains(&status)
}

fn span(side: Side, request: Open, answer: Answer, place: Place, complete: bool) -> HttpSpan {
    HttpSpan {
        side,
        method: request.method,
        path: request.path,
        status: answer.status,
        start_ns: request.start_ns,
        duration_ns: answer.end_ns.saturating_sub(request.start_ns),
        request_bytes: request.bytes,
        response_bytes: answer.bytes,
        pid: place.pid,
        connection: place.connection,
        complete,
    }
}
