//! Keeps the beginning and the end of a stream of any length, and counts what it leaves out.

/// The kept parts of one output stream. Memory is bounded by what is kept, whatever a host sends.
#[derive(Debug, Clone)]
pub(super) struct Capture {
    head: Vec<u8>,
    head_limit: usize,
    tail: Vec<u8>,
    tail_limit: usize,
    /// Where the oldest byte of a full tail is.
    oldest: usize,
    total: u64,
}

impl Capture {
    /// Keeps at most so many bytes: half of them from the beginning, half from the end.
    pub(super) fn new(keep: usize) -> Self {
        let head_limit = keep / 2;
        let tail_limit = keep - head_limit;
        Self { head: Vec::new(), head_limit, tail: Vec::new(), tail_limit, oldest: 0, total: 0 }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.head_limit - self.head.len();
        if room > 0 {
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = later;
        }
        if bytes.len() >= self.tail_limit {
            self.tail.clear();
            self.oldest = 0;
            self.tail.extend_from_slice(bytes.split_at(bytes.len() - self.tail_limit).1);
            return;
        }
        let room = self.tail_limit - self.tail.len();
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        self.tail.extend_from_slice(now);
        let mut later = later;
        while !later.is_empty() {
            let place = self.oldest;
            let count = later.len().min(self.tail.len() - place);
            let (now, rest) = later.split_at(count);
            if let Some(room) = self.tail.get_mut(place..place + count) {
                room.copy_from_slice(now);
            }
            self.oldest = (place + count) % self.tail.len();
            later = rest;
        }
    }

    /// What was kept, and how many bytes of the middle were left out.
    pub(super) fn finish(mut self) -> (Vec<u8>, u64) {
        let cut = self.total - (self.head.len() + self.tail.len()) as u64;
        self.tail.rotate_left(self.oldest);
        self.head.append(&mut self.tail);
        (self.head, cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keep: usize, pieces: &[&[u8]]) -> (String, u64) {
        let mut capture = Capture::new(keep);
        for piece in pieces {
            capture.push(piece);
        }
        let (bytes, cut) = capture.finish();
        (String::from_utf8(bytes).unwrap(), cut)
    }

    #[test]
    fn short_output_is_kept_whole() {
        assert_eq!(kept(10, &[b"abc", b"", b"defghij"]), ("abcdefghij".to_owned(), 0));
    }

    #[test]
    fn the_middle_of_long_output_is_counted() {
        assert_eq!(kept(4, &[b"abcdefgh"]), ("abgh".to_owned(), 4));
        assert_eq!(kept(4, &[b"a", b"b", b"c", b"d", b"e", b"f"]), ("abef".to_owned(), 2));
        assert_eq!(kept(6, &[b"abcd", b"ef", b"gh"]), ("abcfgh".to_owned(), 2));
        assert_eq!(kept(0, &[b"abc"]), (String::new(), 3));
        assert_eq!(kept(1, &[b"abc"]), ("c".to_owned(), 2));
    }
}
