//! Where lines go: standard output, whose reader may leave.

use std::io::{self, Write};

/// A writer that falls silent when its reader is gone (`stagger run … | head`): that is no failure, and the run goes on.
pub(crate) struct Out {
    inner: Box<dyn Write + Send>,
    gone: bool,
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::to(Box::new(io::stdout()))
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self::to(Box::new(io::stderr()))
    }

    /// Any writer.
    pub(crate) fn to(inner: Box<dyn Write + Send>) -> Self {
        Self { inner, gone: false }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Writes a text with one write, and sends it on at once: somebody may be watching the other end.
    ///
    /// # Errors
    /// It can't be written, for another reason than that nobody reads.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        if self.gone || text.is_empty() {
            return Ok(());
        }
        match self.inner.write_all(text.as_bytes()).and_then(|()| self.inner.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn out(&self) -> Out {
            Out::to(Box::new(self.clone()))
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(io::ErrorKind);
    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(self.0))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        let mut out = Out::to(Box::new(Fails(io::ErrorKind::BrokenPipe)));
        out.write("a").unwrap();
        out.write("b").unwrap();
        assert!(Out::to(Box::new(Fails(io::ErrorKind::StorageFull))).write("a").is_err());
    }
}
