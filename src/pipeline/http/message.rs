//! One direction of a connection: messages behind one another.

use httparse::{Header, Request, Response, Status};

use super::body::{Body, Read};

/// A head that does not end before this is none.
const LONGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 128;

/// The beginning of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// Method and target.
    Request { method: String, path: String },
    /// The status.
    Response(u16),
}

/// What a direction carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Requests,
    Responses,
}

/// Something that happened in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamEvent {
    /// The first byte of a message, at this time.
    Begin(u64),
    /// What its head begins with; of a request perhaps again when the head is whole.
    Head(Head),
    /// Its last byte, at this time; its length.
    End { time_ns: u64, bytes: u64 },
    /// No message could begin like this: the stream is not HTTP, or no longer.
    Foreign,
}

/// Reads one direction.
#[derive(Debug)]
pub(super) struct Messages {
    carries: Carries,
    state: ReadState,
    /// Of the message that is being read.
    bytes: u64,
    last_ns: u64,
}

#[derive(Debug)]
enum ReadState {
    /// Between messages, or in a head: what there is of it.
    Head(Vec<u8>),
    Body(Body),
    Foreign,
}

/// Bytes of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub time_ns: u64,
    pub seen: &'a [u8],
    /// How many there are, seen or not.
    pub length: u64,
}

impl Bytes<'_> {
    fn skip(self, bytes: u64) -> Self {
        let seen = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            seen: self.seen.get(seen..).unwrap_or_default(),
            length: self.length - bytes,
            ..self
        }
    }
}

impl Messages {
    pub(super) fn new(carries: Carries) -> Self {
        Self {
            carries,
            state: ReadState::Head(Vec::new()),
            bytes: 0,
            last_ns: 0,
        }
    }

    /// Reads on. `head_only` says whether a response of this status is one to a request
    /// whose response then has no body (HEAD).
    pub(super) fn read(
        &mut self,
        mut bytes: Bytes,
        mut head_only: impl FnMut(u16) -> bool,
        mut tell: impl FnMut(StreamEvent),
    ) {
        if matches!(self.state, ReadState::Body(Body::Lost)) && begins(self.carries, bytes.seen) {
            self.end(&mut tell);
        }
        while bytes.length > 0 {
            match &mut self.state {
                ReadState::Foreign => return,
                ReadState::Body(body) => {
                    self.last_ns = bytes.time_ns;
                    match body.read(bytes.seen, bytes.length) {
                        Read::More(rest) => {
                            *body = rest;
                            self.bytes += bytes.length;
                            return;
                        }
                        Read::End(length) => {
                            self.bytes += length;
                            bytes = bytes.skip(length);
                            self.end(&mut tell);
                        }
                    }
                }
                ReadState::Head(held) => {
                    let before = held.len();
                    if before == 0 {
                        // Empty lines before a message are nothing (RFC 9112, 2.2).
                        let blank = bytes.seen.iter().take_while(|b| b"\r\n".contains(b));
                        let blank = blank.count() as u64;
                        if blank > 0 {
                            bytes = bytes.skip(blank);
                            continue;
                        }
                        tell(StreamEvent::Begin(bytes.time_ns));
                    }
                    self.last_ns = bytes.time_ns;
                    let parsed = if before == 0 {
                        parse(self.carries, bytes.seen)
                    } else if held.len() + bytes.seen.len() > LONGEST_HEAD {
                        Parsed::Foreign
                    } else {
                        held.extend_from_slice(bytes.seen);
                        parse(self.carries, held)
                    };
                    match parsed {
                        Parsed::Whole { length, head, body } => {
                            let length = (length - before) as u64;
                            self.bytes += before as u64 + length;
                            bytes = bytes.skip(length);
                            let body = match head {
                                Head::Response(status) if head_only(status) => Body::Counted(0),
                                _ => body,
                            };
                            tell(StreamEvent::Head(head));
                            self.state = ReadState::Body(body);
                            if body == Body::Counted(0) {
                                self.end(&mut tell);
                            }
                        }
                        // The rest of the head went unseen.
                        Parsed::Part(_) if bytes.seen.len() as u64 != bytes.length => {
                            return self.give_up(&mut tell);
                        }
                        Parsed::Part(head) => {
                            // It may be answered before it is whole.
                            if let Some(head) = head {
                                tell(StreamEvent::Head(head));
                            }
                            if before == 0 {
                                held.extend_from_slice(bytes.seen);
                            }
                            return;
                        }
                        Parsed::Foreign => return self.give_up(&mut tell),
                    }
                }
            }
        }
    }

    /// The stream ends: whether a message ended with it.
    pub(super) fn finish(&mut self, mut tell: impl FnMut(StreamEvent)) {
        if let ReadState::Body(Body::UntilEnd | Body::Lost) = self.state {
            self.end(&mut tell);
        }
    }

    /// The bytes so far of a message that is being read.
    pub(super) fn under_way(&self) -> Option<u64> {
        match &self.state {
            ReadState::Head(held) if held.is_empty() => None,
            ReadState::Head(held) => Some(held.len() as u64),
            ReadState::Body(_) => Some(self.bytes),
            ReadState::Foreign => None,
        }
    }

    /// Nothing that follows is a message (an upgrade, a tunnel).
    pub(super) fn turn_foreign(&mut self) {
        self.state = ReadState::Foreign;
    }

    fn end(&mut self, tell: &mut impl FnMut(StreamEvent)) {
        tell(StreamEvent::End {
            time_ns: self.last_ns,
            bytes: self.bytes,
        });
        self.bytes = 0;
        self.state = ReadState::Head(Vec::new());
    }

    fn give_up(&mut self, tell: &mut impl FnMut(StreamEvent)) {
        self.state = ReadState::Foreign;
        tell(StreamEvent::Foreign);
    }
}

enum Parsed {
    Whole {
        length: usize,
        head: Head,
        body: Body,
    },
    /// Its first line, where that is there.
    Part(Option<Head>),
    Foreign,
}

fn parse(carries: Carries, bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    match carries {
        Carries::Requests => {
            let mut request = Request::new(&mut headers);
            let parsed = request.parse(bytes);
            let line = request.method.zip(request.path);
            let head = line.map(|(method, path)| Head::Request {
                method: method.to_owned(),
                path: path.to_owned(),
            });
            match (parsed, head) {
                (Ok(Status::Complete(length)), Some(head)) => Parsed::Whole {
                    length,
                    head,
                    body: match framing(request.headers) {
                        Some(Framing::Missing) => Body::Counted(0),
                        Some(Framing::Is(body)) => body,
                        None => return Parsed::Foreign,
                    },
                },
                (Ok(Status::Partial), head) => Parsed::Part(head),
                _ => Parsed::Foreign,
            }
        }
        Carries::Responses => {
            let mut response = Response::new(&mut headers);
            match response.parse(bytes) {
                Ok(Status::Complete(length)) => {
                    let status = response.code.unwrap_or_default();
                    let bodiless = matches!(status, 100..=199 | 204 | 304);
                    Parsed::Whole {
                        length,
                        head: Head::Response(status),
                        body: match framing(response.headers) {
                            Some(_) if bodiless => Body::Counted(0),
                            Some(Framing::Missing) => Body::UntilEnd,
                            Some(Framing::Is(body)) => body,
                            None => return Parsed::Foreign,
                        },
                    }
                }
                Ok(Status::Partial) => Parsed::Part(None),
                Err(_) => Parsed::Foreign,
            }
        }
    }
}

/// What the headers say of the body.
enum Framing {
    Missing,
    Is(Body),
}

/// None where they make no sense.
fn framing(headers: &[Header]) -> Option<Framing> {
    let named = |name: &str| {
        let name = name.to_owned();
        move |header: &&Header| header.name.eq_ignore_ascii_case(&name)
    };
    let chunked = headers
        .iter()
        .filter(named("transfer-encoding"))
        .any(|header| {
            let last = header
                .value
                .rsplit(|&b| b == b',')
                .next()
                .unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"chunked")
        });
    if chunked {
        return Some(Framing::Is(Body::CHUNKED));
    }
    match headers.iter().find(named("content-length")) {
        None => Some(Framing::Missing),
        Some(header) => {
            let text = std::str::from_utf8(header.value).ok()?;
            Some(Framing::Is(Body::Counted(text.trim().parse().ok()?)))
        }
    }
}

/// Whether a message of this direction could begin like this.
pub(super) fn begins(carries: Carries, bytes: &[u8]) -> bool {
    match carries {
        Carries::Responses => {
            let start = b"HTTP/1.";
            let common = start.len().min(bytes.len());
            common > 0 && bytes[..common] == start[..common]
        }
        Carries::Requests => {
            let letters = bytes.iter().take_while(|b| b.is_ascii_uppercase()).count();
            (1..=16).contains(&letters) && matches!(bytes.get(letters), None | Some(b' '))
        }
    }
}
