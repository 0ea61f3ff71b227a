//! Log lines as glog writes them, to standard error and into `--log_dir`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::era::Era;

/// Where a daemon's lines go.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    quiet: bool,
    file: Option<Arc<Mutex<File>>>,
    /// 0 until 0.13, 1 later: which of two line numbers a message has.
    newer: usize,
}

impl Log {
    pub(crate) fn new(program: &str, version: &str, log_dir: Option<&str>, quiet: bool) -> Log {
        let file = log_dir.and_then(|folder| {
            let folder = Path::new(folder);
            fs::create_dir_all(folder).ok()?;
            let started = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
            let name = format!("{program}.log.INFO.{started}.{}", std::process::id());
            let file = OpenOptions::new().create(true).append(true).open(folder.join(&name)).ok()?;
            let link = folder.join(format!("{program}.INFO"));
            let _ = fs::remove_file(&link);
            let _ = symlink(&name, &link);
            Some(Arc::new(Mutex::new(file)))
        });
        Log { quiet, file, newer: usize::from(Era::of(version) > Era::V0_13) }
    }

    pub(crate) fn info(&self, source: &str, lines: [u32; 2], text: &str) {
        self.line('I', source, lines, text);
    }

    pub(crate) fn warning(&self, source: &str, lines: [u32; 2], text: &str) {
        self.line('W', source, lines, text);
    }

    /// A fatal line, a stack trace that tells nothing, and SIGABRT.
    pub(crate) fn fatal(&self, source: &str, lines: [u32; 2], text: &str) -> ! {
        self.line('F', source, lines, text);
        self.raw("*** Check failure stack trace: ***\n    @     0x7f3bfa273ce7  (unknown)\n    @     0x7f3bf8b278ec  (unknown)\n");
        std::process::abort()
    }

    fn line(&self, level: char, source: &str, lines: [u32; 2], text: &str) {
        let now = jiff::Zoned::now().strftime("%m%d %H:%M:%S.%6f").to_string();
        let number = lines.get(self.newer).copied().unwrap_or_default();
        self.raw(&format!("{level}{now} {:>5} {source}:{number}] {text}\n", std::process::id()));
    }

    /// Text as it is.
    pub(crate) fn raw(&self, text: &str) {
        if !self.quiet {
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        if let Some(file) = &self.file
            && let Ok(mut file) = file.lock()
        {
            let _ = file.write_all(text.as_bytes());
        }
    }
}
