//! Lines for a log or a pipe: the time, then what happened; stable, one thing a line.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::out::Out;
use super::story::Story;
use super::style::{Line, Paint};
use crate::event::{Event, EventKind, Sink};

/// After so long without a line it is said what goes on.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The sink.
pub(crate) struct Plain {
    out: Out,
    paint: Paint,
    zone: TimeZone,
    story: Story,
    /// Wall clock and run time of the last event, and when it came.
    last: (u64, u64, Instant),
    silence: Duration,
    spoken: Instant,
}

impl Plain {
    /// Lines to `out`, with times in `zone`.
    pub(crate) fn new(out: Out, paint: Paint, zone: TimeZone, verbosity: u8) -> Self {
        let now = Instant::now();
        let story = Story::new(verbosity, true);
        Self { out, paint, zone, story, last: (0, 0, now), silence: HEARTBEAT, spoken: now }
    }

    fn write(&mut self, at: u64, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let time = clock(at, &self.zone);
        let mut text = String::new();
        for line in lines {
            let line = self.paint.line(line);
            if line.is_empty() {
                text.push('\n');
            } else {
                text.extend([&time, " ", &line, "\n"]);
            }
        }
        self.spoken = Instant::now();
        self.silence = HEARTBEAT;
        self.out.write(&text)
    }

    fn beat(&mut self, now: Instant) -> io::Result<()> {
        let gone = u64::try_from(now.duration_since(self.last.2).as_millis()).unwrap_or(u64::MAX);
        let lines = self.story.due(self.last.1.saturating_add(gone));
        let at = self.last.0.saturating_add(gone);
        self.write(at, &lines)?;
        if now.duration_since(self.spoken) >= self.silence && !self.story.state.is_finished() {
            let silence = self.silence;
            let line = self.story.heartbeat(self.last.1.saturating_add(gone));
            self.write(at, line.as_slice())?;
            // The longer it lasts, the less often it is said.
            self.silence = (silence * 2).min(Duration::from_secs(300));
        }
        Ok(())
    }

    /// Shows what commands said.
    #[must_use]
    pub(crate) fn with_output(mut self, shown: bool) -> Self {
        if shown {
            self.story.show_output();
        }
        self
    }
}

impl Sink for Plain {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        let ends = matches!(event.kind, EventKind::RunFinished { .. });
        if ends {
            let rest = self.story.due(u64::MAX);
            self.write(event.at, &rest)?;
        }
        let lines = self.story.on(event);
        if !matches!(event.kind, EventKind::Sent { .. }) {
            self.last = (event.at, event.elapsed, Instant::now());
        }
        // The recap is for scripts too: its lines begin with the host.
        if ends {
            let lines: Vec<_> = lines.iter().map(|line| self.paint.line(line) + "\n").collect();
            self.out.write(&lines.concat())?;
            // Whoever left the output early (`| head`) still sees how it ended.
            return if self.out.is_gone() { Out::stderr().write(&lines.concat()) } else { Ok(()) };
        }
        self.write(event.at, &lines)
    }

    fn recall(&mut self, event: &Event) {
        let _ = self.story.on(event);
    }

    fn tick(&mut self) {
        // An error of the writer comes back with the next event.
        let _ = self.beat(Instant::now());
    }
}

/// `12:41:03` of milliseconds since 1970.
pub(super) fn clock(at: u64, zone: &TimeZone) -> String {
    let time =
        i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}
