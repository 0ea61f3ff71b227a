//! Finds the markers of one command in a stream that others write to as well: login files, banners, forgotten children.
//!
//! A marker is the byte 0x1e and a random nonce of 32 hex digits, then `?` (the shell runs), `<` (the command
//! begins) or `>` (it ended), then a line's rest with facts. What stands before `<` is noise.

use std::collections::VecDeque;

use bytes::Bytes;

use super::capture::Capture;

/// How much noise before the command is kept, for prompts and messages.
const NOISE: usize = 16 * 1024;

/// The longest rest of a marker line; a longer one is not ours.
const LONGEST_LINE: usize = 256;

/// Searches a stream for one byte string, across the borders of pieces.
#[derive(Debug, Clone)]
struct Finder {
    needle: Vec<u8>,
    /// For each byte: how far the search may go on when it stands under the needle's last place (Horspool).
    skip: Box<[usize; 256]>,
}

impl Finder {
    fn new(needle: Vec<u8>) -> Self {
        let length = needle.len();
        let mut skip = Box::new([length.max(1); 256]);
        for (place, byte) in needle.iter().take(length.saturating_sub(1)).enumerate() {
            if let Some(entry) = skip.get_mut(usize::from(*byte)) {
                *entry = length - 1 - place;
            }
        }
        Self { needle, skip }
    }

    /// Where the needle begins, if it is there.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let length = self.needle.len();
        let mut place = 0;
        while let Some(window) = text.get(place..place + length) {
            if window == self.needle {
                return Some(place);
            }
            let last = window.last().copied().unwrap_or(0);
            place += self.skip.get(usize::from(last)).copied().unwrap_or(1);
        }
        None
    }

    /// How many bytes at the end of a text may be the beginning of the needle.
    fn partial(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.needle.len().saturating_sub(1));
        (1..=most).rev().find(|n| text.ends_with(self.needle.get(..*n).unwrap_or(&[]))).unwrap_or(0)
    }
}

/// Where the bytes of the command go.
#[derive(Debug, Clone)]
pub(super) enum Sink {
    /// The beginning and the end are kept.
    Keep(Capture),
    /// All go on, in order.
    Queue(VecDeque<Bytes>),
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Keep(capture) => capture.push(bytes),
            Self::Queue(queue) => queue.push_back(Bytes::copy_from_slice(bytes)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Line,
    Inside,
    Ended,
}

/// One output stream, as far as one command is concerned.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    finder: Finder,
    /// Whether an end marker is expected; without one the command's output goes on to the end of the stream.
    closed: bool,
    phase: Phase,
    /// Whether the line being read came from inside the command's output.
    inside: bool,
    held: Vec<u8>,
    line: Vec<u8>,
    noise: Vec<u8>,
    pub(super) hello: bool,
    /// The rest of the `<` line.
    pub(super) begun: Option<String>,
    /// The rest of the `>` line.
    pub(super) ended: Option<String>,
    pub(super) sink: Sink,
    /// Bytes came after the end.
    pub(super) dirty: bool,
}

impl Frame {
    /// A frame for a nonce.
    pub(super) fn new(nonce: &str, closed: bool, sink: Sink) -> Self {
        let mut marker = vec![0x1e];
        marker.extend_from_slice(nonce.as_bytes());
        Self {
            finder: Finder::new(marker),
            closed,
            phase: Phase::Before,
            inside: false,
            held: Vec::new(),
            line: Vec::new(),
            noise: Vec::new(),
            hello: false,
            begun: None,
            ended: None,
            sink,
            dirty: false,
        }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let joined;
        let mut rest = if self.held.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
            joined.as_slice()
        };
        while !rest.is_empty() {
            match self.phase {
                Phase::Ended => {
                    self.dirty = true;
                    return;
                }
                Phase::Inside if !self.closed => {
                    self.sink.push(rest);
                    return;
                }
                Phase::Before | Phase::Inside => match self.finder.find(rest) {
                    Some(place) => {
                        let (before, after) = rest.split_at(place);
                        self.pass(before);
                        rest = after.get(self.finder.needle.len()..).unwrap_or(&[]);
                        self.inside = self.phase == Phase::Inside;
                        self.phase = Phase::Line;
                    }
                    None => {
                        let (now, later) = rest.split_at(rest.len() - self.finder.partial(rest));
                        self.pass(now);
                        self.held = later.to_vec();
                        return;
                    }
                },
                Phase::Line => rest = self.read_line(rest),
            }
        }
    }

    /// Takes out what waits to go on.
    pub(super) fn take_queue(&mut self) -> Vec<Bytes> {
        match &mut self.sink {
            Sink::Queue(queue) => queue.drain(..).collect(),
            Sink::Keep(_) => Vec::new(),
        }
    }

    /// What came before the command and is none of its output.
    pub(super) fn noise(&self) -> String {
        String::from_utf8_lossy(&self.noise).into_owned()
    }

    fn pass(&mut self, bytes: &[u8]) {
        if self.phase == Phase::Inside {
            self.sink.push(bytes);
        } else {
            let room = NOISE.saturating_sub(self.noise.len());
            self.noise.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or(&[]));
        }
    }

    fn read_line<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let end = text.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (text.get(..end).unwrap_or(&[]), text.get(end + 1..).unwrap_or(&[])),
            None => (text, &[][..]),
        };
        self.line.extend_from_slice(line.get(..line.len().min(LONGEST_LINE)).unwrap_or(&[]));
        if end.is_none() {
            self.line.truncate(LONGEST_LINE);
            return rest;
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        self.phase = if self.inside { Phase::Inside } else { Phase::Before };
        match line.split_at_checked(1) {
            Some(("?", _)) => self.hello = true,
            Some(("<", facts)) => {
                self.begun = Some(facts.to_owned());
                self.phase = Phase::Inside;
            }
            Some((">", facts)) => {
                self.ended = Some(facts.to_owned());
                self.phase = Phase::Ended;
            }
            _ => {}
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn whole() -> Vec<u8> {
        format!(
            "Welcome!\n\u{1e}{NONCE}?\nnoise\n\u{1e}{NONCE}<77\nhello\u{1e}\u{1e}0123 no newline\u{1e}{NONCE}>3 0\n"
        )
        .into_bytes()
    }

    fn check(frame: Frame) {
        assert!(frame.hello);
        assert_eq!(frame.begun.as_deref(), Some("77"));
        assert_eq!(frame.ended.as_deref(), Some("3 0"));
        assert_eq!(frame.noise(), "Welcome!\nnoise\n");
        assert!(!frame.dirty);
        let Sink::Keep(capture) = frame.sink else { panic!("it keeps") };
        assert_eq!(capture.finish(), (b"hello\x1e\x1e0123 no newline".to_vec(), 0));
    }

    #[test]
    fn markers_are_found_wherever_the_pieces_are_cut() {
        let text = whole();
        for size in 1..=text.len() {
            let mut frame = Frame::new(NONCE, true, Sink::Keep(Capture::new(1000)));
            for piece in text.chunks(size) {
                frame.push(piece);
            }
            check(frame);
        }
    }

    #[test]
    fn a_forgotten_child_that_writes_after_the_end_is_noticed() {
        let mut frame = Frame::new(NONCE, true, Sink::Keep(Capture::new(1000)));
        frame.push(&whole());
        frame.push(b"late");
        assert!(frame.dirty);
    }

    #[test]
    fn without_an_end_marker_all_that_follows_is_output() {
        let mut frame = Frame::new(NONCE, false, Sink::Queue(VecDeque::new()));
        frame.push(format!("x\u{1e}{NONCE}<1\nabc").as_bytes());
        frame.push(format!("\u{1e}{NONCE}>0\n").as_bytes());
        let Sink::Queue(queue) = frame.sink else { panic!("it queues") };
        assert_eq!(queue.into_iter().flatten().collect::<Vec<u8>>(), format!("abc\u{1e}{NONCE}>0\n").into_bytes());
    }
}
