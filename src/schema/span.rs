//! A line of the HTTP tracer's output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One request and its response, as a process saw them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpSpan {
    /// Whether the process served the request or made it.
    pub side: Side,
    /// The method; empty where a response came before the request's first line was whole.
    pub method: String,
    /// The target, as the request line has it; empty where the method is.
    pub path: String,
    /// The status; none where no response was seen.
    pub status: Option<u16>,
    /// When the first byte of the request was moved, in nanoseconds of the monotonic clock.
    pub start_ns: u64,
    /// How long until the last byte of the response was, in nanoseconds.
    pub duration_ns: u64,
    /// Bytes of the request.
    pub request_bytes: u64,
    /// Bytes of the response.
    pub response_bytes: u64,
    /// The process that moved the last byte.
    pub pid: u32,
    /// The socket's inode: the same for all requests of one connection.
    pub connection: u64,
    /// Whether the request's first line was seen, and the response to its end.
    pub complete: bool,
}

/// Which end of a connection a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It reads requests and writes responses.
    Server,
    /// It writes requests and reads responses.
    Client,
}

impl HttpSpan {
    /// When the last byte of the response was moved.
    pub fn end_ns(&self) -> u64 {
        self.start_ns + self.duration_ns
    }
}
