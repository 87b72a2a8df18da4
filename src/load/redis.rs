//! The protocol of Redis, as far as a load speaks it: nine keys are read for one that is
//! written.

use super::message::{AnswerBody, MalformedAnswer, Response};

/// Different keys.
const KEYS: u64 = 1000;
/// Bytes of a value.
const VALUE: [u8; 64] = [b'v'; 64];

/// The request of this number, whole.
pub(super) fn write_request(number: u64, out: &mut Vec<u8>) {
    // Whoever writes goes round all keys too, so that what is read was written.
    let key = format!("key:{}", number / 10 % KEYS);
    let (writes, key) = (number.is_multiple_of(10), key.as_bytes());
    let words: &[&[u8]] = match writes {
        true => &[b"SET", key, &VALUE],
        false => &[b"GET", key],
    };
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The line that begins an answer, and what follows it; an error counts as a server's.
pub(super) fn parse(
    bytes: &[u8],
) -> Result<Option<(usize, Response, AnswerBody)>, MalformedAnswer> {
    if !matches!(bytes.first(), None | Some(b'+' | b'-' | b':' | b'$')) {
        return Err(MalformedAnswer("no answer of Redis"));
    }
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let line = std::str::from_utf8(&bytes[1..end]).unwrap_or_default();
    let following = match (bytes[0], line.parse::<i64>()) {
        // A value and the end of its line; -1 is no value.
        (b'$', Ok(length @ 0..)) => length as u64 + 2,
        (b'$', Err(_)) => return Err(MalformedAnswer("a length that is no number")),
        _ => 0,
    };
    let response = Response {
        status: if bytes[0] == b'-' { 500 } else { 200 },
        keeps_open: true,
    };
    Ok(Some((end + 2, response, AnswerBody::Length(following))))
}

#[cfg(test)]
mod tests {
    use super::super::http::AnswerReader;
    use super::*;

    #[test]
    fn requests_are_arrays_of_words() {
        let mut out = Vec::new();
        write_request(7, &mut out);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$5\r\nkey:0\r\n");
        out.clear();
        write_request(20, &mut out);
        assert!(out.starts_with(b"*3\r\n$3\r\nSET\r\n$5\r\nkey:2\r\n$64\r\nvvv"));
    }

    #[test]
    fn answers_are_read_to_their_last_byte() {
        let mut answers = AnswerReader::of_redis();
        for (bytes, status) in [
            (&b"+OK\r\n"[..], 200),
            (b"$-1\r\n", 200),
            (b"$3\r\nabc\r\n", 200),
            (b":7\r\n", 200),
            (b"-ERR no\r\n", 500),
        ] {
            let (head, last) = bytes.split_at(bytes.len() - 1);
            answers.push(head);
            assert_eq!(answers.take_whole(), Ok(None));
            answers.push(last);
            let answer = answers.take_whole().unwrap().unwrap();
            assert_eq!(answer.status, status);
            assert!(answers.is_between());
        }
        for other in [&b"$x\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
            let mut answers = AnswerReader::of_redis();
            answers.push(other);
            assert!(answers.take_whole().is_err());
        }
    }
}
