//! Takes known secrets out of an event, before any sink sees it.
//!
//! What is left alone: names of hosts and modules, paths and digests of what is pinned. They come from the inventory and
//! this program, and a resume looks them up; were `elastic` a password and `elastic-1` a host, masking the name would lose
//! the host and keep no secret.

use crate::base::Masker;
use crate::event::{EventKind, PlannedPlay, StepLine, UndoTask};

/// Masks every text that may hold a secret. No `..` here: a field that is added has to be thought of.
pub(crate) fn mask(kind: &mut EventKind, masker: &Masker) {
    let text = |text: &mut String| masker.mask_in(text);
    let steps = |steps: &mut Vec<StepLine>| {
        for StepLine { summary, diff, opaque: _, once: _, script } in steps {
            masker.mask_in(summary);
            if let Some(script) = script {
                masker.mask_in(script);
            }
            if let Some(diff) = diff {
                for text in [&mut diff.before_header, &mut diff.after_header, &mut diff.before, &mut diff.after] {
                    masker.mask_in(text);
                }
            }
        }
    };
    match kind {
        EventKind::RunStarted {
            version: _,
            run: _,
            program: _,
            title,
            inventory,
            operator,
            check: _,
            pinned: _,
            command,
            directory: _,
            environment,
            plays,
            rolls_back: _,
        } => {
            text(title);
            inventory.iter_mut().for_each(text);
            text(operator);
            command.iter_mut().for_each(text);
            environment.values_mut().for_each(text);
            for PlannedPlay { name, hosts: _, order, rollback: _ } in plays {
                text(name);
                text(order);
            }
        }
        EventKind::PlayStarted { play: _, name, hosts: _, batches: _, order, tasks: _ } => {
            text(name);
            text(order);
        }
        EventKind::PlaySkipped { play: _, name, why } => {
            text(name);
            text(why);
        }
        EventKind::TaskStarted { key: _, name, module: _, handler: _, place, hosts: _ } => {
            text(name);
            text(place);
        }
        EventKind::ActStarted { key: _, host: _, item: _, steps: lines, login, privilege } => {
            steps(lines);
            text(login);
            text(privilege);
        }
        EventKind::ItemFinished {
            key: _,
            host: _,
            item,
            index: _,
            delegate: _,
            delegate_address: _,
            status: _,
            steps: lines,
            result,
            notified,
        } => {
            text(item);
            steps(lines);
            masker.mask_map(result);
            notified.iter_mut().for_each(text);
        }
        EventKind::Retrying { key: _, host: _, name, left: _ } => text(name),
        EventKind::Waiting { key: _, host: _, module: _, why, waited: _, within: _ } => text(why),
        EventKind::HostFinished {
            key: _,
            host: _,
            delegate: _,
            delegate_address: _,
            status: _,
            steps: lines,
            result,
            message,
            took: _,
            rescued: _,
            notified,
            tally: _,
        } => {
            steps(lines);
            masker.mask_map(result);
            text(message);
            notified.iter_mut().for_each(text);
        }
        EventKind::Included { key: _, file, hosts: _, item } => {
            text(file);
            if let Some(item) = item {
                text(item);
            }
        }
        EventKind::Halted { play: _, halt } => {
            text(&mut halt.guard);
            text(&mut halt.value);
        }
        EventKind::Warning { message } | EventKind::Note { message } => text(message),
        EventKind::Cancelling { why } => text(why),
        EventKind::RunFinished { tallies: _, not_attempted: _, pending_handlers, halted: _, exit: _, ended: _ } => {
            pending_handlers.values_mut().flatten().for_each(text);
        }
        EventKind::Resumed { program: _, operator, command, pinned: _ } => {
            text(operator);
            command.iter_mut().for_each(text);
        }
        EventKind::UndoArmed { entry: _, key: _, host: _, item: _, name, place, shared: _, variables, tasks } => {
            text(name);
            text(place);
            masker.mask_map(variables);
            for UndoTask { task: _, name, module: _, arguments, written, keywords, directory: _ } in tasks {
                text(name);
                masker.mask_map(arguments);
                masker.mask_map(written);
                masker.mask_map(keywords);
            }
        }
        EventKind::UndoStarted { entry: _, host: _, name } => text(name),
        EventKind::UndoFinished { entry: _, host: _, name, done: _, message } => {
            text(name);
            text(message);
        }
        EventKind::Held { play: _, batch: _, hosts: _, why } => text(why),
        EventKind::Released { play: _, batch: _, by } => text(by),
        EventKind::Controlled { request: _, by, command: _, argument, reason, answer, refused: _ } => {
            text(by);
            text(argument);
            text(reason);
            text(answer);
        }
        EventKind::HostSkipped { host: _, by, reason } => {
            text(by);
            text(reason);
        }
        EventKind::BatchStarted { play: _, batch: _, batches: _, hosts: _ }
        | EventKind::HostStarted { key: _, host: _ }
        | EventKind::ActFinished { key: _, host: _, item: _, done: _ }
        | EventKind::Sent { key: _, host: _, bytes: _, of: _ }
        | EventKind::TaskFinished { key: _ }
        | EventKind::BatchFinished { play: _, batch: _ }
        | EventKind::PlayFinished { play: _ }
        | EventKind::Baking { play: _, batch: _, waited: _, within: _ }
        | EventKind::Baked { play: _, batch: _ }
        | EventKind::LeaseTaken { host: _ } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::event::fixture::every_kind_on;

    #[test]
    fn a_secret_in_any_text_is_masked() {
        let masker = Masker::default();
        masker.add(&Secret::new("p0is0n"));
        for mut kind in every_kind_on("h1", "p0is0n") {
            mask(&mut kind, &masker);
            let written = serde_json::to_string(&kind).unwrap();
            assert!(!written.contains("p0is0n"), "{written}");
        }
    }

    #[test]
    fn a_name_that_looks_like_a_secret_is_kept() {
        let masker = Masker::default();
        masker.add(&Secret::new("elastic"));
        for kind in every_kind_on("elastic", "fine") {
            let mut masked = kind.clone();
            mask(&mut masked, &masker);
            assert_eq!(masked, kind);
        }
    }
}
