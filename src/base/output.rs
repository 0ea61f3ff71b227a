//! What a command left.

/// The end of a command and what it printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its exit status; 128+n when signal n ended it.
    pub(crate) status: i32,
    /// Standard output, shortened in the middle when it was longer than what is kept.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, likewise.
    pub(crate) stderr: Vec<u8>,
    /// How many bytes of standard output were left out.
    pub(crate) stdout_cut: u64,
    /// How many bytes of standard error were left out.
    pub(crate) stderr_cut: u64,
}

impl Output {
    /// Standard output as text; bytes that aren't UTF-8 become U+FFFD.
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}
