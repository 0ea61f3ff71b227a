//! `runs`, `status`, `replay`, `show`: looking at runs of now and before.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::flags::{ColourFlag, OutputFlag};
use super::request::{Colour, Look, LookRequest};

pub(super) const RUNS_EXAMPLES: &str = "\
Examples:
  stagger runs
  stagger runs --all --output json";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  stagger status           the newest run that is alive, else the newest
  stagger status 01kq --all
  stagger status x7f2 --output json";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  stagger replay x7f2 --speed 60     a minute each second
  stagger replay x7f2 --output json | less";

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  stagger show x7f2
  stagger show x7f2 --commands m1    what was typed on m1, and what is left";

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is shown")]
struct WhereFlags {
    /// Colours: auto, always or never
    #[arg(long, visible_alias = "colour", value_name = "WHEN", value_enum, default_value_t = ColourFlag::Auto, hide_default_value = true, hide_possible_values = true)]
    color: ColourFlag,
    /// Where journals are kept [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// The form of what isn't a run's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TextOrJson {
    /// Text for people.
    Plain,
    /// JSON.
    Json,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RunsFlags {
    /// All of them, not the last 20
    #[arg(short = 'a', long)]
    all: bool,
    /// The form of the output [default: plain]
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<TextOrJson>,
    #[command(flatten)]
    place: WhereFlags,
}

#[derive(Debug, Clone, Args)]
pub(super) struct StatusFlags {
    /// A unique beginning or end of the run's id [default: the newest that is alive, else the newest]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// A line for every host
    #[arg(short = 'a', long)]
    all: bool,
    /// The form of the output [default: plain]
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<TextOrJson>,
    #[command(flatten)]
    place: WhereFlags,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ReplayFlags {
    /// A unique beginning or end of the run's id
    #[arg(value_name = "RUN")]
    run: String,
    /// So many times as fast as it was, no pause longer than 5 s; 0 without any [default: 10 on the screen, else 0]
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,
    /// More: -v results, -vv places
    #[arg(short = 'v', long, action = ArgAction::Count)]
    verbose: u8,
    /// The form of the output [default: human at a terminal, else plain]
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<OutputFlag>,
    #[command(flatten)]
    place: WhereFlags,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ShowFlags {
    /// A unique beginning or end of the run's id [default: the newest]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// What was typed on this host, and what would be typed still, to go on by hand
    #[arg(long, value_name = "HOST")]
    commands: Option<String>,
    #[command(flatten)]
    place: WhereFlags,
}

fn speed(text: &str) -> Result<f64, String> {
    let right = |speed: &f64| speed.is_finite() && *speed >= 0.0;
    text.parse::<f64>().ok().filter(right).ok_or_else(|| "a number from 0 on: how many times as fast".to_owned())
}

fn request(look: Look, place: WhereFlags) -> LookRequest {
    let colour = match place.color {
        ColourFlag::Never => Colour::Never,
        ColourFlag::Always => Colour::Always,
        ColourFlag::Auto => Colour::Auto,
    };
    LookRequest { look, colour, state: place.state }
}

pub(super) fn runs(flags: RunsFlags) -> LookRequest {
    request(Look::Runs { all: flags.all, json: flags.output == Some(TextOrJson::Json) }, flags.place)
}

pub(super) fn status(flags: StatusFlags) -> LookRequest {
    let json = flags.output == Some(TextOrJson::Json);
    request(Look::Status { run: flags.run, all: flags.all, json }, flags.place)
}

pub(super) fn replay(flags: ReplayFlags) -> LookRequest {
    let output = flags.output.map(OutputFlag::form);
    request(Look::Replay { run: flags.run, speed: flags.speed, verbosity: flags.verbose, output }, flags.place)
}

pub(super) fn show(flags: ShowFlags) -> LookRequest {
    request(Look::Show { run: flags.run, commands: flags.commands }, flags.place)
}
