//! The TCP sockets of a host, as the kernel's tables list them (proc(5), `/proc/net/tcp` and `tcp6`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    /// Own address and port.
    pub(super) local: (IpAddr, u16),
    /// The other side's.
    pub(super) remote: (IpAddr, u16),
    /// The kernel's number of its state.
    pub(super) state: u8,
}

/// A listening socket's state.
pub(super) const LISTEN: u8 = 10;

/// Connection states by the kernel's numbers (include/net/tcp_states.h).
pub(super) const STATES: &[(&str, u8)] =
    &[("ESTABLISHED", 1), ("SYN_SENT", 2), ("SYN_RECV", 3), ("FIN_WAIT1", 4), ("FIN_WAIT2", 5), ("TIME_WAIT", 6)];

/// Reads the tables; lines that are none of a socket are left out.
pub(super) fn parse(text: &str) -> Vec<Socket> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    fields.next()?.strip_suffix(':')?.parse::<u64>().ok()?;
    let local = end(fields.next()?)?;
    let remote = end(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    Some(Socket { local, remote, state })
}

/// Hex address (32-bit words in the host's byte order, taken as little-endian) and hex port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some((address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:13BA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0\n\
             \x20  1: 0100007F:13BA 0200000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 17 1 0\n\
             \x20  0: 0000000000000000FFFF00000100007F:13BA 00000000000000000000000000000000:0000 06 0 0 0\n\
             \x20  1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0 0 0\n";
        let sockets = parse(text);
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(sockets.len(), 4);
        assert_eq!(sockets[0], Socket { local: (ip("127.0.0.1"), 5050), remote: (ip("0.0.0.0"), 0), state: LISTEN });
        assert_eq!(sockets[1].remote, (ip("10.0.0.2"), 54321));
        assert_eq!(sockets[2].local, (ip("127.0.0.1"), 5050));
        assert_eq!(sockets[3].local, (ip("::1"), 22));
    }
}
