//! A screen for a person: bars and hosts at work at the bottom, what happened above them. indicatif only draws.

use std::io;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::tz::TimeZone;

use super::out::Out;
use super::plain::clock;
use super::prompt::Drawing;
use super::story::Story;
use super::style::{Line, Paint};
use super::view::{Size, final_rows, header, view};
use crate::event::{Event, EventKind, Sink};

/// The sink.
pub(crate) struct Screen {
    out: Out,
    paint: Paint,
    zone: TimeZone,
    story: Story,
    /// One bar whose message is the whole live part.
    bar: ProgressBar,
    size: Box<dyn Fn() -> Size + Send>,
    last: (u64, Instant),
    drawn: String,
    drawing: Drawing,
}

impl Screen {
    /// A screen on standard output's terminal.
    pub(crate) fn new(paint: Paint, zone: TimeZone, verbosity: u8) -> Self {
        let size = || match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: usize::from(size.ws_col).max(20), rows: usize::from(size.ws_row) }
            }
            _ => Size { columns: 80, rows: 24 },
        };
        Self::on(ProgressDrawTarget::stdout(), Out::stdout(), Box::new(size), paint, zone, verbosity)
    }

    pub(super) fn on(
        target: ProgressDrawTarget,
        out: Out,
        size: Box<dyn Fn() -> Size + Send>,
        paint: Paint,
        zone: TimeZone,
        verbosity: u8,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let last = (0, Instant::now());
        Self {
            out,
            paint,
            zone,
            story: Story::new(verbosity, false),
            bar,
            size,
            last,
            drawn: String::new(),
            drawing: Drawing::begin(),
        }
    }

    /// Prints above the live part, for good.
    fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let columns = (self.size)().columns;
        let wrapped = lines.iter().flat_map(|line| line.clone().wrapped(columns));
        let text: String = wrapped.map(|line| self.paint.line(&line).trim_end_matches(' ').to_owned() + "\n").collect();
        let (bar, out) = (&self.bar, &mut self.out);
        bar.suspend(|| out.write(&text))
    }

    fn draw(&mut self) {
        if self.story.state.run.id.is_empty() || self.story.state.is_finished() {
            return;
        }
        if self.drawing.must_rest() {
            // A person is asked something: the live part would be drawn over what is typed.
            if !self.drawn.is_empty() {
                self.bar.set_message("");
                self.bar.tick();
                self.drawn.clear();
            }
            self.drawing.rests();
            return;
        }
        let now = self.now();
        let started = clock(self.story.state.run.at, &self.zone);
        let lines = view(&self.story.state, (self.size)(), now, started.get(..5).unwrap_or_default());
        let text = lines.iter().map(|line| self.paint.line(line)).collect::<Vec<_>>().join("\n");
        if text != self.drawn {
            self.bar.set_message(text.clone());
            self.bar.tick();
            self.drawn = text;
        }
    }

    fn now(&self) -> u64 {
        self.last.0.saturating_add(u64::try_from(self.last.1.elapsed().as_millis()).unwrap_or(0))
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

impl Sink for Screen {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        let lines = self.story.on(event);
        self.last = (event.elapsed, Instant::now());
        if let EventKind::RunFinished { .. } = event.kind {
            self.bar.finish_and_clear();
            let columns = (self.size)().columns;
            let started = clock(self.story.state.run.at, &self.zone);
            let state = &self.story.state;
            let mut last = vec![header(state, columns, started.get(..5).unwrap_or_default()).cut(columns)];
            last.extend(final_rows(state, columns, event.elapsed));
            last.extend(lines);
            return self.print(&last);
        }
        let told = self.print(&lines);
        self.draw();
        told
    }

    fn recall(&mut self, event: &Event) {
        let _ = self.story.on(event);
    }

    fn tick(&mut self) {
        let lines = self.story.due(self.now());
        // An error of the terminal comes back with the next event.
        let _ = self.print(&lines);
        self.draw();
    }
}

impl Drop for Screen {
    /// Also when the run died: the live part must not stay behind.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
