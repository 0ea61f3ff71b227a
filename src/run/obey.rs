//! Doing what a person asks of a run, and answering.

use super::Run;
use super::control::{Answer, Request, listed};
use super::guard::Standing;
use crate::event::EventKind;

impl Run {
    /// Does what a person asks for, and answers on the bus.
    pub(crate) fn obey(&self, request: &Request) {
        let (argument, by) = (request.argument.trim(), request.by.as_str());
        let mut left_out = Vec::new();
        let answer = if self.is_stopping() && request.command != "abort" {
            Err("the run is being ended: nothing new is started any more".to_owned())
        } else {
            match request.command.as_str() {
                "pause" => self.pause(by),
                "resume" => self.unpause(by),
                "continue" => self.control.state().let_go(request),
                "abort" => Ok(self.give_up(request)),
                "skip" => {
                    left_out = argument.split_whitespace().map(str::to_owned).collect();
                    self.leave_out(&left_out, &request.reason)
                }
                "retry" => Err(format!(
                    "a host that failed takes no further part while the run goes on; when it has ended, `stagger retry {} {argument}` tries it again at the task that failed",
                    self.options.run_id
                )),
                other => Err(format!("the run knows no request `{other}`")),
            }
        };
        self.answer(request, &answer);
        if answer.is_ok() {
            for host in left_out {
                let reason = request.reason.clone();
                self.bus.emit(EventKind::HostSkipped { host, by: by.to_owned(), reason });
            }
            if request.command == "abort" {
                self.bus.emit(EventKind::Cancelling { why: self.abort_text(request) });
                self.interrupt.soft.cancel();
            }
        }
        self.control.wake();
    }

    /// Says what came of a request; one that can't even be read is answered, too.
    pub(crate) fn answer(&self, request: &Request, answer: &Answer) {
        let Request { number, by, command, argument, reason, .. } = request.clone();
        let refused = answer.is_err();
        let answer = match answer {
            Ok(text) | Err(text) => text.clone(),
        };
        self.bus.emit(EventKind::Controlled { request: number, by, command, argument, reason, answer, refused });
    }

    fn pause(&self, by: &str) -> Answer {
        let mut state = self.control.state();
        if let Some(who) = &state.paused {
            return Err(format!("it is paused already, by {who}"));
        }
        state.paused = Some(by.to_owned());
        Ok(format!(
            "paused: {}, and nothing new is started until `stagger resume {}`",
            state.finishing(),
            self.options.run_id
        ))
    }

    fn unpause(&self, by: &str) -> Answer {
        let mut state = self.control.state();
        if state.paused.take().is_none() {
            return Err(format!("the run is not paused: {}", state.now()));
        }
        by.clone_into(&mut state.resumed);
        Ok(format!("it goes on: {}", state.now()))
    }

    fn give_up(&self, request: &Request) -> String {
        let mut state = self.control.state();
        state.aborted = Some(request.by.clone());
        format!("aborted: {}, what has to be undone is undone, and the run is closed for good", state.finishing())
    }

    fn abort_text(&self, request: &Request) -> String {
        let reason = if request.reason.is_empty() { String::new() } else { format!(": {}", request.reason) };
        format!("aborted by {}{reason}", request.by)
    }

    fn leave_out(&self, names: &[String], reason: &str) -> Answer {
        if names.is_empty() {
            return Err("name the hosts to leave out".to_owned());
        }
        if reason.is_empty() {
            return Err("say why with --reason: whoever reads this run later has to know".to_owned());
        }
        let state = self.control.state();
        for name in names {
            if !self.inventory().contains(name) {
                return Err(format!("{name} is not in the inventory of this run"));
            }
            if let Some(phase) = state.at_work.get(name) {
                return Err(format!(
                    "{name} is at work in {phase}, and would be left half-way: wait until it is done, or `stagger abort {}`",
                    self.options.run_id
                ));
            }
            match self.hosts.get(name).standing() {
                Standing::Failed => return Err(format!("{name} failed, and takes no further part already")),
                Standing::Unreachable => {
                    return Err(format!("{name} is unreachable, and takes no further part already"));
                }
                Standing::LeftOut => return Err(format!("{name} is left out already")),
                Standing::Active | Standing::Ended => {}
            }
            if !state.is_to_come(name) {
                return Err(format!("{name} is in nothing that is still to come"));
            }
        }
        for name in names {
            self.hosts.get(name).state().standing = Standing::LeftOut;
        }
        Ok(format!("left out of what is still to come: {}", listed(names)))
    }
}
