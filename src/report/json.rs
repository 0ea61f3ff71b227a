//! One event a line, for programs: what the journal has (see the header of `journal`), with `sent` too.
//!
//! ```text
//! {"v":1,"at":1700052060000,"elapsed":0,"event":"run_started","run":"01hf…",…}
//! ```
//!
//! `v` is the version of the form, `at` milliseconds since 1970, `elapsed` milliseconds since the run began, `event`
//! the kind. A reader passes over kinds and fields that it does not know.

use std::io;

use serde::Serialize;

use super::clean::clean_json;
use super::out::Out;
use crate::event::{Event, Sink, VERSION};

/// The sink.
pub(crate) struct JsonLines {
    out: Out,
}

impl JsonLines {
    /// Lines to `out`.
    pub(crate) fn new(out: Out) -> Self {
        Self { out }
    }
}

#[derive(Serialize)]
struct Versioned<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

impl Sink for JsonLines {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        let json = serde_json::to_string(&Versioned { v: VERSION, event })?;
        self.out.write(&(clean_json(&json) + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{event, every_kind};
    use crate::report::out::fixture::Written;

    #[test]
    fn every_event_is_one_line_that_reads_back() {
        let written = Written::default();
        let mut sink = JsonLines::new(written.out());
        let events: Vec<_> = every_kind("\u{1b}[2J\n\u{9b}").into_iter().map(event).collect();
        for event in &events {
            sink.on(event).unwrap();
        }
        let text = written.text();
        assert!(!text.contains(['\u{1b}', '\u{9b}']));
        let back: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, events);
        assert!(text.starts_with("{\"v\":1,\"at\":"), "{text}");
    }
}
