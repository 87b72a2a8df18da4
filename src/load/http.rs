//! Messages of HTTP/1.1, read from the bytes of a connection as they come.
//!
//! Bodies are counted off, not kept: a load asks how long an answer took, not what it said.

use super::message::{AnswerBody, MalformedAnswer, Response};
use super::redis;

/// The longest head of a message, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// The most header fields of a message.
const MOST_FIELDS: usize = 128;
/// The longest line that gives the size of a chunk, extensions and all.
const LONGEST_CHUNK_LINE: usize = 4096;

/// The head of a message: what stands before its body.
pub trait AnswerHead: Sized {
    /// The head at the start of `bytes`, its length, and how its body ends; none where
    /// more bytes are wanted.
    fn parse(bytes: &[u8]) -> Result<Option<(usize, Self, AnswerBody)>, MalformedAnswer>;

    /// Whether another message comes before the one that is waited for, as after
    /// `100 Continue`.
    fn is_interim(&self) -> bool {
        false
    }
}

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// What it asks for.
    pub path: String,
    /// Whether the connection stays open after it.
    pub keeps_open: bool,
}

/// Reads a head, as [`AnswerHead::parse`] does.
type ParseHead<H> = fn(&[u8]) -> Result<Option<(usize, H, AnswerBody)>, MalformedAnswer>;

/// The messages of one direction of a connection.
#[derive(Debug)]
pub struct AnswerReader<H> {
    parse: ParseHead<H>,
    bytes: Vec<u8>,
    /// The message whose body is being read.
    current: Option<(H, AnswerBody)>,
}

impl<H: AnswerHead> Default for AnswerReader<H> {
    fn default() -> Self {
        Self::with(H::parse)
    }
}

impl AnswerReader<Response> {
    /// Of a server that speaks the protocol of Redis.
    pub(super) fn of_redis() -> Self {
        Self::with(redis::parse)
    }
}

impl<H: AnswerHead> AnswerReader<H> {
    fn with(parse: ParseHead<H>) -> Self {
        Self {
            parse,
            bytes: Vec::new(),
            current: None,
        }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message that is here to its last byte.
    pub fn take_whole(&mut self) -> Result<Option<H>, MalformedAnswer> {
        loop {
            let (head, mut body) = match self.current.take() {
                Some(current) => current,
                None => match (self.parse)(&self.bytes)? {
                    Some((length, head, body)) => {
                        self.bytes.drain(..length);
                        (head, body)
                    }
                    None if self.bytes.len() > LONGEST_HEAD => {
                        return Err(MalformedAnswer("a head without an end"));
                    }
                    None => return Ok(None),
                },
            };
            if !consume(&mut body, &mut self.bytes)? {
                self.current = Some((head, body));
                return Ok(None);
            }
            if !head.is_interim() {
                return Ok(Some(head));
            }
        }
    }

    /// The message that the end of the connection completes, if any.
    pub fn close(&mut self) -> Option<H> {
        match self.current.take() {
            Some((head, AnswerBody::UntilClose)) => Some(head),
            _ => None,
        }
    }

    /// Whether no byte of a message is waiting for the rest of it.
    pub fn is_between(&self) -> bool {
        self.bytes.is_empty() && self.current.is_none()
    }

    /// Forgets all, as for a new connection.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.current = None;
    }
}

/// Takes from `bytes` what belongs to the body; whether that was all of it.
fn consume(body: &mut AnswerBody, bytes: &mut Vec<u8>) -> Result<bool, MalformedAnswer> {
    loop {
        match body {
            AnswerBody::Length(left) => {
                take(left, bytes);
                return Ok(*left == 0);
            }
            AnswerBody::Chunk(left) => {
                take(left, bytes);
                if *left > 0 {
                    return Ok(false);
                }
                *body = AnswerBody::Chunks;
            }
            AnswerBody::Chunks => match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete((length, size))) => {
                    bytes.drain(..length);
                    *body = match size {
                        0 => AnswerBody::Trailer,
                        size => AnswerBody::Chunk(size.saturating_add(2)),
                    };
                }
                Ok(httparse::Status::Partial) if bytes.len() <= LONGEST_CHUNK_LINE => {
                    return Ok(false);
                }
                _ => return Err(MalformedAnswer("a chunk without a size")),
            },
            AnswerBody::Trailer => match bytes.windows(2).position(|pair| pair == b"\r\n") {
                Some(end) => {
                    bytes.drain(..end + 2);
                    if end == 0 {
                        return Ok(true);
                    }
                }
                None if bytes.len() > LONGEST_HEAD => {
                    return Err(MalformedAnswer("a trailer without an end"));
                }
                None => return Ok(false),
            },
            AnswerBody::UntilClose => {
                bytes.clear();
                return Ok(false);
            }
        }
    }
}

fn take(left: &mut u64, bytes: &mut Vec<u8>) {
    let here = (bytes.len() as u64).min(*left);
    bytes.drain(..here as usize);
    *left -= here;
}

impl AnswerHead for Response {
    fn parse(bytes: &[u8]) -> Result<Option<(usize, Self, AnswerBody)>, MalformedAnswer> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let Ok(parsed) = head.parse(bytes) else {
            return Err(MalformedAnswer("no response of HTTP/1"));
        };
        let (httparse::Status::Complete(length), Some(status)) = (parsed, head.code) else {
            return Ok(None);
        };
        let fields = MessageFields::read(head.headers, head.version)?;
        let body = match status {
            100..200 | 204 | 304 => AnswerBody::Length(0),
            _ => fields.body.unwrap_or(AnswerBody::UntilClose),
        };
        let keeps_open = fields.keeps_open && body != AnswerBody::UntilClose;
        Ok(Some((length, Self { status, keeps_open }, body)))
    }

    fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

impl AnswerHead for Request {
    fn parse(bytes: &[u8]) -> Result<Option<(usize, Self, AnswerBody)>, MalformedAnswer> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let Ok(parsed) = head.parse(bytes) else {
            return Err(MalformedAnswer("no request of HTTP/1"));
        };
        let (httparse::Status::Complete(length), Some(method), Some(path)) =
            (parsed, head.method, head.path)
        else {
            return Ok(None);
        };
        let request = |keeps_open| Self {
            method: method.to_owned(),
            path: path.to_owned(),
            keeps_open,
        };
        let fields = MessageFields::read(head.headers, head.version)?;
        let body = fields.body.unwrap_or(AnswerBody::Length(0));
        Ok(Some((length, request(fields.keeps_open), body)))
    }
}

/// What the header fields say of the body and the connection.
struct MessageFields {
    /// How the body ends; none where no field says.
    body: Option<AnswerBody>,
    keeps_open: bool,
}

impl MessageFields {
    fn read(fields: &[httparse::Header], version: Option<u8>) -> Result<Self, MalformedAnswer> {
        let mut length: Option<u64> = None;
        let mut chunked = false;
        let mut keeps_open = version == Some(1);
        for field in fields {
            if field.name.eq_ignore_ascii_case("content-length") {
                let said =
                    digits(field.value).ok_or(MalformedAnswer("a length that is no number"))?;
                if length.is_some_and(|before| before != said) {
                    return Err(MalformedAnswer("two lengths"));
                }
                length = Some(said);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = tokens(field.value).last() == Some("chunked".to_owned());
            } else if field.name.eq_ignore_ascii_case("connection") {
                for token in tokens(field.value) {
                    match token.as_str() {
                        "close" => keeps_open = false,
                        "keep-alive" => keeps_open = true,
                        _ => {}
                    }
                }
            }
        }
        Ok(Self {
            body: match (chunked, length) {
                (true, _) => Some(AnswerBody::Chunks),
                (false, length) => length.map(AnswerBody::Length),
            },
            keeps_open,
        })
    }
}

/// A number of digits alone: no sign, no list.
fn digits(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.trim();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn tokens(value: &[u8]) -> impl Iterator<Item = String> {
    let parts = value.split(|b| *b == b',');
    parts.map(|part| String::from_utf8_lossy(part).trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ntransfer-encoding: gzip, Chunked\r\n\r\n\
        3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n\
        HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

    fn read<H: AnswerHead>(pieces: &[&[u8]]) -> Result<Vec<H>, MalformedAnswer> {
        let mut messages = AnswerReader::default();
        let mut all = Vec::new();
        for piece in pieces {
            messages.push(piece);
            while let Some(message) = messages.take_whole()? {
                all.push(message);
            }
        }
        Ok(all)
    }

    fn statuses(pieces: &[&[u8]]) -> Vec<(u16, bool)> {
        let read = read::<Response>(pieces).unwrap();
        read.iter().map(|r| (r.status, r.keeps_open)).collect()
    }

    #[test]
    fn answers_are_the_same_wherever_they_are_cut() {
        let whole = [(200, true), (404, true), (204, false)];
        assert_eq!(statuses(&[ANSWERS]), whole);
        for cut in 0..ANSWERS.len() {
            let (one, two) = ANSWERS.split_at(cut);
            assert_eq!(statuses(&[one, two]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = ANSWERS.chunks(1).collect();
        assert_eq!(statuses(&bytes), whole);
    }

    #[test]
    fn requests_have_bodies_and_come_in_a_row() {
        let text: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET\
            GET /c HTTP/1.0\r\n\r\n";
        for cut in 0..text.len() {
            let (one, two) = text.split_at(cut);
            let requests = read::<Request>(&[one, two]).unwrap();
            let seen: Vec<_> = requests
                .iter()
                .map(|r| (r.method.as_str(), r.path.as_str(), r.keeps_open))
                .collect();
            assert_eq!(
                seen,
                [
                    ("GET", "/a", true),
                    ("POST", "/b", true),
                    ("GET", "/c", false)
                ],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn the_end_of_the_connection_ends_a_body_without_a_length_and_no_other() {
        let mut messages = AnswerReader::<Response>::default();
        messages.push(b"HTTP/1.0 200 OK\r\n\r\nsome");
        assert_eq!(messages.take_whole(), Ok(None));
        assert!(!messages.is_between());
        assert_eq!(messages.close().map(|r| r.status), Some(200));
        messages.push(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
        assert_eq!(messages.take_whole(), Ok(None));
        assert_eq!(messages.close(), None);
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        for text in [
            "+OK POP3 ready\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(read::<Response>(&[text.as_bytes()]).is_err(), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(LONGEST_HEAD));
        assert!(read::<Response>(&[endless.as_bytes()]).is_err());
        let endless = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}",
            "y".repeat(LONGEST_HEAD + 1)
        );
        assert!(read::<Response>(&[endless.as_bytes()]).is_err());
    }

    /// Random bytes, and messages with bytes of them changed: nothing panics, and nothing
    /// depends on where the bytes are cut. PROBECOST_FUZZ says how many times more.
    #[test]
    fn no_bytes_are_read_in_two_ways() {
        let more: u64 = std::env::var("PROBECOST_FUZZ").map_or(1, |n| n.parse().unwrap());
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..100_000 * more {
            let mut bytes = match round % 4 {
                0 => (0..rng.usize(..64)).map(|_| rng.u8(..)).collect(),
                _ => ANSWERS.to_vec(),
            };
            for _ in 0..rng.usize(..4) {
                if let Some(byte) = rng.choice(&mut bytes) {
                    *byte = rng.u8(..);
                }
            }
            let (one, two) = bytes.split_at(rng.usize(..=bytes.len()));
            let whole = read::<Response>(&[&bytes]);
            let cut = read::<Response>(&[one, two]);
            assert_eq!(
                whole.is_ok(),
                cut.is_ok(),
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
            if let (Ok(whole), Ok(cut)) = (whole, cut) {
                assert_eq!(whole, cut, "{:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}
