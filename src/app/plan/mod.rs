//! `stagger plan`: what a run would change, shown as a tree and kept in a file; and `stagger run --plan`, which does what such a
//! file says and nothing else.

mod keep;
mod kept;
mod saved;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::playbook::{self, Loaded};
use super::session::Passwords;
use crate::cli::{Approval, Exit, OutputForm, PlanRequest, RunRequest, Terms};
use crate::event::{Event, EventKind, Sink};
use crate::journal::StateFolder;
use crate::report::{Foresight, Paint, PlanTree, Shown, plan_text};

pub(super) use keep::{again, run as run_kept};
use saved::Saved;

/// What a look at the hosts came to; shared with the sink that takes its events.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    foresight: Foresight,
    began: Option<Began>,
    /// The SHA-256 of local files that modules read.
    files: BTreeMap<String, String>,
}

/// How the preview was begun.
#[derive(Debug, Clone, Default)]
struct Began {
    operator: String,
    command: Vec<String>,
    directory: String,
    environment: BTreeMap<String, String>,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sink that takes the events, in place of a view.
    pub(super) fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.clone())
    }

    /// Takes which local files were read.
    pub(super) fn files(&self, files: BTreeMap<PathBuf, String>) {
        self.lock().files = files.into_iter().map(|(path, digest)| (path.display().to_string(), digest)).collect();
    }
}

impl Sink for Watch {
    fn on(&mut self, event: &Event) -> std::io::Result<()> {
        let mut seen = self.lock();
        if let EventKind::RunStarted { operator, command, directory, environment, .. } = &event.kind {
            seen.began = Some(Began {
                operator: operator.clone(),
                command: command.clone(),
                directory: directory.clone(),
                environment: environment.clone(),
            });
        }
        seen.foresight.on(event);
        Ok(())
    }
}

/// What a look at the hosts came to.
struct Walked {
    tree: PlanTree,
    began: Began,
    /// The SHA-256 of each text that it rests on.
    pinned: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    exit: Exit,
    passwords: Passwords,
}

/// Shows a plan, and keeps it.
pub(super) fn run(request: &PlanRequest) -> Exit {
    if request.run.syntax_check || request.run.list.any() {
        return playbook::run(&request.run);
    }
    let walked = match load(&request.run).and_then(|loaded| walk(&request.run, loaded, None)) {
        Ok(walked) => walked,
        Err(exit) => return exit,
    };
    let mut tree = walked.tree.clone();
    expect(&mut tree, &request.run);
    if request.run.common.output == Some(OutputForm::Json) {
        super::print(&(serde_json::to_string(&tree).unwrap_or_default() + "\n"));
    } else {
        let all = request.run.common.verbosity > 0;
        super::print(&plan_text(&tree, &shown(all), request.run.common.diff));
    }
    let Some(file) = &request.save else { return walked.exit };
    if walked.exit != Exit::Ok || !tree.is_whole() {
        super::complain(
            "error: the plan is not kept: it is not whole, since a host failed or could not be looked at\n",
        );
        return if walked.exit == Exit::Ok { Exit::HostFailed } else { walked.exit };
    }
    match Saved::of(walked, tree).write(file) {
        Ok(()) => {
            super::complain(&format!(
                "kept in {0}: stagger run --plan {0}\n",
                crate::base::quote(&file.display().to_string())
            ));
            Exit::Ok
        }
        Err(error) => {
            super::complain(&format!("error: the plan can't be kept in {}: {error}\n", file.display()));
            Exit::Error
        }
    }
}

/// The request of a preview that waits for nobody.
fn preview(run: &RunRequest) -> RunRequest {
    let mut run = run.clone();
    run.common.check = true;
    run.common.diff = true;
    run.step = false;
    run.terms = Terms { approve: Some(Approval::None), ..Terms::default() };
    run
}

fn load(run: &RunRequest) -> Result<Loaded, Exit> {
    playbook::load(&preview(run))
}

/// Looks at the hosts and changes nothing.
///
/// # Errors
/// The exit code, when it could not even begin; why was said.
fn walk(run: &RunRequest, loaded: Loaded, passwords: Option<Passwords>) -> Result<Walked, Exit> {
    let Loaded { session, plan, mut how } = loaded;
    let run = preview(run);
    let passwords = match passwords {
        Some(passwords) => passwords,
        None => session.passwords(&run.common).map_err(|(reason, exit)| {
            super::complain(&format!("error: {reason}\nNothing was done and no host was contacted.\n"));
            exit
        })?,
    };
    let (watch, sources) = (Watch::default(), Arc::clone(&session.sources));
    how.watch = Some(watch.clone());
    how.passwords = Some(passwords.clone());
    let exit = session.execute(&run.common, plan, how);
    let mut seen = watch.lock();
    let Some(began) = seen.began.take() else { return Err(exit) };
    Ok(Walked {
        tree: seen.foresight.tree(),
        began,
        pinned: super::pinned::pinned(&sources),
        files: std::mem::take(&mut seen.files),
        exit,
        passwords,
    })
}

/// Adds what earlier runs of the same playbooks took.
fn expect(tree: &mut PlanTree, run: &RunRequest) {
    let Ok(state) = StateFolder::existing(run.common.state.as_deref(), &|name| std::env::var_os(name)) else { return };
    let paces = super::status::paces(&state, None, &tree.title, false);
    tree.expect(&|play, hosts| paces.estimate(play, hosts));
}

fn shown(all: bool) -> Shown {
    let around = super::view::surroundings();
    let paint = if around.terminal { around.paint(None) } else { Paint { colour: false, ..around.paint(None) } };
    super::view::shown(paint, all)
}
