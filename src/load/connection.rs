//! One connection of a load, which never waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::http::AnswerReader;
use super::message::Response;
use crate::schema::load::RequestError as Error;

/// A connection, open or not.
#[derive(Debug)]
pub(super) struct LoadConnection {
    stream: Option<TcpStream>,
    is_connected: bool,
    answers: AnswerReader<Response>,
    /// The request, and how much of it has been sent.
    request: Vec<u8>,
    sent: usize,
}

impl LoadConnection {
    /// To a server that answers so.
    pub(super) fn new(answers: AnswerReader<Response>) -> Self {
        Self {
            stream: None,
            is_connected: false,
            answers,
            request: Vec::new(),
            sent: 0,
        }
    }

    /// Uses a stream that is connected.
    pub(super) fn adopt(&mut self, stream: TcpStream, epoll: &OwnedFd, key: u64) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        watch(epoll, &stream, key)?;
        self.stream = Some(stream);
        self.is_connected = true;
        Ok(())
    }

    /// Begins to send what `write` writes, over a new connection where none is open.
    pub(super) fn send(
        &mut self,
        address: SocketAddr,
        epoll: &OwnedFd,
        key: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.request.clear();
        self.sent = 0;
        write(&mut self.request);
        if self.stream.is_none() {
            self.open(address, epoll, key)?;
        }
        if self.is_connected {
            self.write()
        } else {
            Ok(())
        }
    }

    /// Goes on after an event; a response where one is whole.
    pub(super) fn advance(
        &mut self,
        flags: EventFlags,
        room: &mut [u8],
    ) -> Result<Option<Response>, Error> {
        let Some(stream) = &self.stream else {
            return Ok(None);
        };
        if !self.is_connected && flags.intersects(EventFlags::OUT | EventFlags::ERR) {
            match stream.take_error() {
                Ok(None) => self.is_connected = true,
                Ok(Some(error)) | Err(error) => return Err(kind(&error)),
            }
        }
        if self.is_connected && self.sent < self.request.len() {
            self.write()?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
        {
            return self.read(flags, room);
        }
        Ok(None)
    }

    /// Whether it holds, open and idle, what nobody asked for: the rest of another
    /// answer, or its own end.
    pub(super) fn is_spent(&self) -> bool {
        !self.answers.is_between()
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.stream = None;
        self.is_connected = false;
        self.answers.clear();
    }

    fn open(&mut self, address: SocketAddr, epoll: &OwnedFd, key: u64) -> Result<(), Error> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // No socket to be had (descriptors, ports): the server is not to blame.
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(|_| Error::Unsent)?;
        let connected = rustix::net::connect(&socket, &address);
        let stream = TcpStream::from(socket);
        match connected {
            Ok(()) => self.is_connected = true,
            Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(kind(&errno.into())),
        }
        stream.set_nodelay(true).map_err(|_| Error::Unsent)?;
        watch(epoll, &stream, key).map_err(|_| Error::Unsent)?;
        self.stream = Some(stream);
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while self.sent < self.request.len() {
            match stream.write(&self.request[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(kind(&error)),
            }
        }
        Ok(())
    }

    fn read(&mut self, flags: EventFlags, room: &mut [u8]) -> Result<Option<Response>, Error> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        // Events come once a change, so all that is there must be read: after a hang-up
        // to the end, else until a read is short.
        let to_the_end = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let mut answer = None;
        loop {
            match stream.read(room) {
                Ok(0) => {
                    let last = answer.or_else(|| self.answers.close());
                    let closed = last.map(|answer| Response {
                        keeps_open: false,
                        ..answer
                    });
                    return closed.map(Some).ok_or(Error::Reset);
                }
                Ok(length) => {
                    self.answers.push(&room[..length]);
                    if answer.is_none() {
                        answer = self.answers.take_whole().map_err(|_| Error::Malformed)?;
                    }
                    if length < room.len() && !to_the_end {
                        return Ok(answer);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(answer),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What came before the reset was whole.
                Err(_) if answer.is_some() => {
                    return Ok(answer.map(|answer| Response {
                        keeps_open: false,
                        ..answer
                    }));
                }
                Err(error) => return Err(kind(&error)),
            }
        }
    }
}

fn watch(epoll: &OwnedFd, stream: &TcpStream, key: u64) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    Ok(epoll::add(epoll, stream, EventData::new_u64(key), flags)?)
}

fn kind(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::ConnectionRefused => Error::Refused,
        ErrorKind::TimedOut => Error::Timeout,
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => Error::Unsent,
        _ => Error::Reset,
    }
}
