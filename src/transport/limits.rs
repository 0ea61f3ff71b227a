//! Open files: a connection takes one each, and the usual soft limit of 1,024 would end a larger fleet.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs beside connections: files that are sent and fetched, the journal, libraries.
const OTHERS: u64 = 128;

/// Raises the soft limit of open files to the hard one, and says how many connections that leaves room for.
pub(crate) fn raise_open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // None is "without limit".
    let files = current.unwrap_or(1 << 20);
    usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        assert!(raise_open_files() > 1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
