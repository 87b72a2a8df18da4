//! Where a body ends.

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Counted(u64),
    /// Chunks, and where in them we are.
    Chunked(Chunk),
    /// All until the stream ends.
    UntilEnd,
    /// Bytes went unseen that say where it ends: until something else begins.
    Lost,
}

/// A place between chunks or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line with the size; the digits so far.
    Size(u64),
    /// In the rest of that line; the size.
    Extension(u64),
    /// In the data and the line break behind it; bytes left.
    Data(u64),
    /// In a trailer line, so long; an empty one is the last.
    Trailer(u64),
}

/// What reading a part of a body came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// It goes on behind these bytes.
    More(Body),
    /// It ended after so many of them.
    End(u64),
}

/// Chunks have two more bytes, their line break, than their size says.
const BREAK: u64 = 2;

impl Body {
    pub(super) const CHUNKED: Self = Self::Chunked(Chunk::Size(0));

    /// Reads on: `length` bytes, of which the first are seen.
    pub(super) fn read(self, seen: &[u8], length: u64) -> Read {
        match self {
            Self::Counted(left) if length >= left => Read::End(left),
            Self::Counted(left) => Read::More(Self::Counted(left - length)),
            Self::Chunked(chunk) => read_chunks(chunk, seen, length),
            Self::UntilEnd => Read::More(Self::UntilEnd),
            Self::Lost => Read::More(Self::Lost),
        }
    }
}

fn read_chunks(mut at: Chunk, seen: &[u8], length: u64) -> Read {
    let mut position: u64 = 0;
    while position < length {
        if let Chunk::Data(left) = at {
            // Data need not be seen.
            let step = left.min(length - position);
            position += step;
            at = match left - step {
                0 => Chunk::Size(0),
                left => Chunk::Data(left),
            };
            continue;
        }
        let Some(&byte) = usize::try_from(position).ok().and_then(|at| seen.get(at)) else {
            return Read::More(Body::Lost);
        };
        position += 1;
        at = match (at, byte) {
            (Chunk::Size(0) | Chunk::Extension(0), b'\n') => Chunk::Trailer(0),
            (Chunk::Size(size) | Chunk::Extension(size), b'\n') => {
                Chunk::Data(size.saturating_add(BREAK))
            }
            (Chunk::Size(size), byte) => match char::from(byte).to_digit(16) {
                Some(digit) => Chunk::Size(size.saturating_mul(16).saturating_add(digit.into())),
                None => Chunk::Extension(size),
            },
            (Chunk::Extension(size), _) => Chunk::Extension(size),
            (Chunk::Trailer(0), b'\n') => return Read::End(position),
            (Chunk::Trailer(_), b'\n') => Chunk::Trailer(0),
            (Chunk::Trailer(0), b'\r') => Chunk::Trailer(0),
            (Chunk::Trailer(so_far), _) => Chunk::Trailer(so_far.saturating_add(1)),
            (Chunk::Data(_), _) => unreachable!("data is skipped above"),
        };
    }
    Read::More(Body::Chunked(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKS: &[u8] = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nGET ";

    #[test]
    fn chunks_end_where_they_do_cut_anywhere() {
        let end = CHUNKS.len() as u64 - 4;
        for cut in 0..=CHUNKS.len() {
            let (one, two) = CHUNKS.split_at(cut);
            let read = Body::CHUNKED.read(one, one.len() as u64);
            match read {
                Read::End(at) => assert_eq!(at, end, "{cut}"),
                Read::More(body) => {
                    let rest = body.read(two, two.len() as u64);
                    assert_eq!(rest, Read::End(end - cut as u64), "{cut}");
                }
            }
        }
    }

    #[test]
    fn data_need_not_be_seen_and_sizes_must_be() {
        // 100 bytes of data, of which the size alone was seen.
        let read = Body::CHUNKED.read(b"64\r\n", 4 + 50);
        assert_eq!(read, Read::More(Body::Chunked(Chunk::Data(52))));
        let read = Body::CHUNKED.read(b"64\r\n", 4 + 103);
        assert_eq!(read, Read::More(Body::Lost));
    }

    #[test]
    fn a_counted_body_ends_by_count() {
        assert_eq!(Body::Counted(10).read(b"", 4), Read::More(Body::Counted(6)));
        assert_eq!(Body::Counted(10).read(b"", 14), Read::End(10));
        assert_eq!(Body::Counted(0).read(b"", 0), Read::End(0));
    }
}
