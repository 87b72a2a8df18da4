//! Open a UDP socket, connect it to a port of this host, close it.

use std::net::{SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::{Calls, Workload};
use crate::host::Obstacle;

/// Connects to a socket that it holds open, so that the port stays its own.
/// UDP, because a connect then sends nothing and wakes nobody.
pub struct UdpConnect {
    to: SocketAddr,
    _server: UdpSocket,
}

impl UdpConnect {
    /// Binds the socket to connect to.
    pub fn new() -> Result<Self, Obstacle> {
        let bound = UdpSocket::bind("127.0.0.1:0").and_then(|server| {
            Ok(Self {
                to: server.local_addr()?,
                _server: server,
            })
        });
        bound.map_err(|error| {
            Obstacle::new(
                format!("no UDP socket on 127.0.0.1: {error}"),
                "bring the loopback device up with: ip link set lo up",
            )
        })
    }
}

impl Workload for UdpConnect {
    fn operate(&mut self) -> Result<u64, Errno> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        connect(&socket, &self.to)?;
        Ok(1)
    }

    fn expected(&self) -> u64 {
        1
    }

    fn calls(&self) -> Calls {
        Calls {
            opens: 0,
            connects: 1,
        }
    }
}
