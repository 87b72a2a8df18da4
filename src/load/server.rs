//! A server of our own, for loads that need nobody else's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::http::{AnswerReader, Request};
use crate::agent::pin_this_thread;
use crate::host::Obstacle;

/// How the server answers.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// The length of an answer's body, in bytes.
    pub body: usize,
    /// When it stands still.
    pub stall: Option<Stall>,
}

/// A server that stands still from time to time: nothing is answered meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// From one to the next; the first comes after so long.
    pub every: Duration,
    /// How long each lasts.
    pub lasting: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            body: 128,
            stall: None,
        }
    }
}

impl Stall {
    /// How long a request that comes `at` this time since the start is kept waiting.
    fn holds(&self, at: Duration) -> Duration {
        let into = at.as_nanos() % self.every.as_nanos().max(1);
        let into = Duration::from_nanos(into as u64);
        match at >= self.every {
            true => self.lasting.saturating_sub(into),
            false => Duration::ZERO,
        }
    }
}

/// A server that listens, with a thread for each connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a port of loopback that the kernel picks. Its threads run on `cpu`;
    /// none: any.
    pub fn start(behaviour: Behaviour, cpu: Option<usize>) -> Result<Self, Obstacle> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), behaviour, cpu)
    }

    /// Listens where it is told to.
    pub fn listen(
        address: SocketAddr,
        behaviour: Behaviour,
        cpu: Option<usize>,
    ) -> Result<Self, Obstacle> {
        let unheard = |error: std::io::Error| {
            Obstacle::new(
                format!("no server can listen on {address}: {error}"),
                "name another port, or 0 for any",
            )
        };
        let listener = TcpListener::bind(address).map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("server".into())
            .spawn(move || {
                // The threads of connections inherit it. On another CPU it serves as well.
                let _ = cpu.map(pin_this_thread);
                accept(&listener, behaviour, &stopped);
            })
            .map_err(unheard)?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to ask it for: it answers to any path, and here to one for each request.
    pub fn target(&self) -> Endpoint {
        Endpoint::numbered(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it from accept.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, behaviour: Behaviour, stop: &Arc<AtomicBool>) {
    let begin = Instant::now();
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // A connection that is gone again is its client's matter. Where descriptors lack, it
        // stays in the queue, and accept fails at once.
        let Ok(stream) = stream else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let serve = move || serve(stream, behaviour, begin);
        // Where there can be no more threads, the client sees its connection closed.
        let _ = std::thread::Builder::new()
            .name("connection".into())
            .spawn(serve);
    }
}

/// Answers one connection's requests until either side ends it.
fn serve(mut stream: TcpStream, behaviour: Behaviour, begin: Instant) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // Clients of HTTP/1.0 keep open only what is said to be kept.
    let [last, kept] = ["close", "keep-alive"].map(|then| answer(behaviour.body, then));
    let mut requests = AnswerReader::<Request>::default();
    let mut room = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut room)?;
        if length == 0 {
            return Ok(());
        }
        requests.push(&room[..length]);
        loop {
            match requests.take_whole() {
                Ok(Some(request)) => {
                    if let Some(stall) = behaviour.stall {
                        std::thread::sleep(stall.holds(begin.elapsed()));
                    }
                    if !request.keeps_open {
                        return stream.write_all(&last);
                    }
                    stream.write_all(&kept)?;
                }
                Ok(None) => break,
                Err(_) => {
                    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\
                        Connection: close\r\n\r\n";
                    return stream.write_all(refusal.as_bytes());
                }
            }
        }
    }
}

fn answer(body: usize, then: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\
         Connection: {then}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + body, b'.');
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_holds_up_what_comes_in_it() {
        let ms = Duration::from_millis;
        let stall = Stall {
            every: ms(1000),
            lasting: ms(200),
        };
        for (at, held) in [
            (0, 0),
            (999, 0),
            (1000, 200),
            (1150, 50),
            (1200, 0),
            (2001, 199),
        ] {
            assert_eq!(stall.holds(ms(at)), ms(held), "{at}");
        }
    }

    #[test]
    fn requests_in_a_row_are_answered_in_a_row_and_nonsense_is_refused() {
        let server = Server::start(Behaviour::default(), None).unwrap();
        let ask = |text: &str| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            said
        };
        let twice = ask("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(twice.matches("200 OK").count(), 2, "{twice}");
        assert!(ask("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    }
}
