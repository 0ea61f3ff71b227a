//! `stagger replay`: a run again from its journal, through the same sinks.

use std::time::Duration;

use super::look::{self, Refusal};
use crate::cli::{Colour, Exit, OutputForm};
use crate::event::{Event, EventKind, Sink};
use crate::journal::{self, StateFolder};
use crate::report::{self, Form, Life, Wish};

/// On the screen it goes so many times as fast as it was.
const FAST: f64 = 10.0;

/// No pause is longer: a night in which a run waited is not to be sat through.
const LONGEST: Duration = Duration::from_secs(5);

/// How often clocks and spinners go on in a pause.
const TICK: Duration = Duration::from_millis(125);

/// Shows a run again. Ctrl-C ends it.
pub(super) fn run(
    state: &StateFolder,
    part: &str,
    speed: Option<f64>,
    verbosity: u8,
    output: Option<OutputForm>,
    colour: Colour,
) -> Result<Exit, Refusal> {
    let run = state.run(part)?;
    let life = look::life(&run);
    let mut events = journal::read(&run.journal())?;
    let Some(first) = events.next().transpose()? else {
        return Err(Refusal(format!("run {} wrote nothing into its journal", run.id), Exit::NoTarget));
    };
    let around = super::view::surroundings();
    let wish = Wish {
        form: output.map(super::view::form),
        colour: match colour {
            Colour::Always => Some(true),
            Colour::Never => Some(false),
            Colour::Auto => None,
        },
        verbosity,
        ..as_it_was(&first)
    };
    let screen = report::form(&wish, &around) == Form::Human;
    let speed = speed.unwrap_or(if screen { FAST } else { 0.0 });
    let mut sink = report::view(&wish, &around);
    sink.on(&first)?;
    let mut before = first.at;
    let mut ended = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let whole = runtime.block_on(async {
        let play = async {
            for event in events.by_ref() {
                let event = event?;
                let gone = event.at.saturating_sub(before);
                before = event.at;
                if speed > 0.0 {
                    #[expect(clippy::cast_precision_loss, reason = "a pause in milliseconds")]
                    let pause = Duration::try_from_secs_f64(gone as f64 / 1000.0 / speed).unwrap_or(LONGEST);
                    wait(pause.min(LONGEST), sink.as_mut()).await;
                } else {
                    tokio::task::yield_now().await;
                }
                ended = matches!(event.kind, EventKind::RunFinished { .. });
                sink.on(&event)?;
            }
            Ok::<(), Refusal>(())
        };
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Ok(false),
            played = play => played.map(|()| true),
        }
    })?;
    // The live part of a screen goes before anything is said below it.
    drop(sink);
    if !whole {
        return Ok(Exit::Interrupted);
    }
    if !ended {
        let why = match life {
            Life::Alive => "the run goes on: this is how far it is",
            Life::Gone => "the journal ends here: the process of the run died",
            Life::Unseen => "the journal ends here",
        };
        super::complain(&format!("note: {why}; stagger status {} says more\n", run.id));
    }
    Ok(Exit::Ok)
}

/// How the run was shown: a one-off command says what its module said, and under Ansible's names all looks as Ansible's.
fn as_it_was(first: &Event) -> Wish {
    let EventKind::RunStarted { command, .. } = &first.kind else { return Wish::default() };
    let name = command.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    let one_off = name == "ansible" || command.get(1).is_some_and(|word| word == "exec");
    let one_line = one_off && command.iter().any(|word| word == "-o" || word == "--one-line");
    Wish { ansible: name.starts_with("ansible"), ad_hoc: one_off, one_line, ..Wish::default() }
}

async fn wait(pause: Duration, sink: &mut dyn Sink) {
    let mut left = pause;
    while left > Duration::ZERO {
        let part = left.min(TICK);
        tokio::time::sleep(part).await;
        left -= part;
        if part == TICK {
            sink.tick();
        }
    }
}
