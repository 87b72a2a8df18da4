//! The HTTP tracer's user half: pieces of streams become requests and responses, and
//! these become spans.
//!
//! HTTP/1.0 and 1.1 in clear text. What it cannot read, it counts: TLS, HTTP/2, and
//! streams that are no HTTP at all ([`Assembled`]); bytes that move without a call
//! that is followed (io_uring, `recvmmsg`) the kernel half counts
//! ([`Traffic`](crate::agent::http::Traffic)).

mod assembler;
mod body;
mod connection;
mod export;
mod message;
#[cfg(feature = "otlp")]
mod otlp;
mod tracer;

pub use assembler::{Assembled, Assembler};
pub use export::{Export, Exported, SpanLines, SpanSink};
#[cfg(feature = "otlp")]
pub use otlp::Otlp;
pub use tracer::{Tracer, TracerCounts};
