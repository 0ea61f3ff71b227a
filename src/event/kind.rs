//! What happened in a run: the kinds of events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Ended, Halt, PlannedPlay, Status, StepLine, Tally, TaskKey, UndoTask};
use crate::base::{Map, PlayId, RunId};

/// What happened. Past tense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// The run began.
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// The run.
        run: RunId,
        /// stagger's version.
        program: String,
        /// What is run: playbook paths, or the pattern and module of `exec`.
        title: String,
        /// Inventory sources.
        inventory: Vec<String>,
        /// `user@bastion`.
        operator: String,
        /// Whether it is a preview.
        check: bool,
        /// Digests of playbooks, inventory and variables: what a resume compares.
        #[serde(default)]
        pinned: BTreeMap<String, String>,
        /// The words of the command line, the program's name first: what the next command is made of.
        #[serde(default)]
        command: Vec<String>,
        /// The folder in which it was typed.
        #[serde(default)]
        directory: String,
        /// Variables of the environment that change what a run does (`ANSIBLE_…`, `STAGGER_…`).
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
        /// The plays to come, as far as they are known beforehand, in order; the place in the list is the play's id.
        #[serde(default)]
        plays: Vec<PlannedPlay>,
        /// The run that this one rolls back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rolls_back: Option<RunId>,
    },
    /// A play began.
    PlayStarted {
        /// Which.
        play: PlayId,
        /// Its name, or its pattern.
        name: String,
        /// Its hosts in order.
        hosts: Vec<String>,
        /// How many batches, when all that is left goes as planned.
        batches: u32,
        /// `one at a time, leader last`, for people; may be empty.
        order: String,
        /// How many tasks each host has, as far as that is known beforehand; 0 when it is not. For progress only.
        #[serde(default)]
        tasks: u32,
    },
    /// A play has no hosts.
    PlaySkipped {
        /// Which.
        play: PlayId,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A batch began.
    BatchStarted {
        /// The play.
        play: PlayId,
        /// Which, from 0.
        batch: u32,
        /// Of how many.
        batches: u32,
        /// Its hosts in order.
        hosts: Vec<String>,
    },
    /// A task began on the first of its hosts.
    TaskStarted {
        /// Which.
        key: TaskKey,
        /// Its name.
        name: String,
        /// Its module.
        module: String,
        /// Whether it is a handler.
        handler: bool,
        /// `file:line` where it stands.
        place: String,
        /// How many hosts it is for.
        hosts: u32,
    },
    /// A host began a task. Written before anything is done.
    HostStarted {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
    },
    /// A host is about to be changed. Written and synced before the act.
    ActStarted {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The loop item's index, from 0; 0 without a loop.
        item: u32,
        /// The steps, in order.
        steps: Vec<StepLine>,
        /// How a person gets there: `ssh -p 2222 ann@192.0.2.11`; empty on this machine.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        login: String,
        /// How a person becomes the user there: `sudo -u root`; empty when nobody has to.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        privilege: String,
    },
    /// The steps were done, or failed.
    ActFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The loop item's index.
        item: u32,
        /// Whether they were.
        done: bool,
    },
    /// One item of a loop came to an end.
    ItemFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The item as people see it.
        item: String,
        /// Its index, from 0.
        #[serde(default)]
        index: u32,
        /// Another host on which it was done (`delegate_to`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate: Option<String>,
        /// That host's address, where it is not its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate_address: Option<String>,
        /// What it came to.
        status: Status,
        /// The steps (would be) done.
        steps: Vec<StepLine>,
        /// The result, masked; empty under `no_log`.
        result: Map,
        /// Handlers that it notified.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notified: Vec<String>,
    },
    /// A task is tried again on a host (`until`, `retries`).
    Retrying {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The task's name.
        name: String,
        /// How many tries are left.
        left: u32,
    },
    /// A host waits for something.
    Waiting {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The module that waits.
        module: String,
        /// Why it waits.
        why: String,
        /// For how long already, milliseconds.
        waited: u64,
        /// For how long at most, milliseconds.
        within: u64,
    },
    /// Bytes of an upload were sent. Not kept in the journal.
    Sent {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// So far.
        bytes: u64,
        /// Of so many.
        of: u64,
    },
    /// A host ended a task.
    HostFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// Another host on which it was done (`delegate_to`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate: Option<String>,
        /// That host's address, where it is not its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate_address: Option<String>,
        /// What it came to.
        status: Status,
        /// The steps (would be) done, without those of loop items.
        #[serde(default)]
        steps: Vec<StepLine>,
        /// The result as registered, masked; only `censored` under `no_log`.
        result: Map,
        /// One line for people: why it failed, was skipped, or is unknown; may be empty.
        message: String,
        /// Milliseconds that it took.
        took: u64,
        /// A rescue section takes the failure.
        #[serde(default)]
        rescued: bool,
        /// Handlers that it notified.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notified: Vec<String>,
        /// The host's counts so far.
        tally: Tally,
    },
    /// All hosts of the batch ended a task.
    TaskFinished {
        /// Which.
        key: TaskKey,
    },
    /// A file was included for some hosts.
    Included {
        /// The include task.
        key: TaskKey,
        /// The file.
        file: String,
        /// For whom.
        hosts: Vec<String>,
        /// The item of a loop, as people see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// A batch ended.
    BatchFinished {
        /// The play.
        play: PlayId,
        /// Which.
        batch: u32,
    },
    /// A guard stopped the play: nothing new is started.
    Halted {
        /// The play.
        play: PlayId,
        /// Why.
        halt: Halt,
    },
    /// A play ended.
    PlayFinished {
        /// Which.
        play: PlayId,
    },
    /// Something that people should know.
    Warning {
        /// What.
        message: String,
    },
    /// A line for people from a module (`debug`, `pause`), outside any result.
    Note {
        /// The line.
        message: String,
    },
    /// The run is being ended early.
    Cancelling {
        /// Why: `interrupted`, `a second interrupt`, `the journal cannot be written: …`.
        why: String,
    },
    /// The run ended.
    RunFinished {
        /// Counts by host, hosts in inventory order; hosts never attempted have none.
        tallies: Vec<(String, Tally)>,
        /// Hosts that plays named and nothing was tried on.
        not_attempted: Vec<String>,
        /// Handlers notified and not run, by host.
        #[serde(default)]
        pending_handlers: BTreeMap<String, Vec<String>>,
        /// Whether a guard or a person stopped it.
        halted: bool,
        /// The exit code.
        exit: u8,
        /// How it ended.
        #[serde(default)]
        ended: Ended,
    },
    /// The run goes on, in another process: what follows belongs to it. Tasks that are known done are passed over.
    Resumed {
        /// stagger's version.
        program: String,
        /// `user@bastion`.
        operator: String,
        /// The words of the command line.
        command: Vec<String>,
        /// Digests of playbooks, inventory and variables now.
        pinned: BTreeMap<String, String>,
    },
    /// What would take a temporary setting back is safe in the journal. Written before the setting is changed.
    UndoArmed {
        /// Its number in this run's ledger, from 0.
        entry: u32,
        /// The task that changes the setting.
        key: TaskKey,
        /// The host.
        host: String,
        /// The loop item's index, from 0; 0 without a loop.
        item: u32,
        /// What the setting is, for people.
        name: String,
        /// `file:line` of the task.
        #[serde(default)]
        place: String,
        /// It stands for all hosts of its batch (`run_once`): they all end before it is taken back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shared: bool,
        /// The values, before the change, of variables that the tasks' conditions use.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        variables: Map,
        /// What takes it back, in order.
        tasks: Vec<UndoTask>,
    },
    /// A setting is being taken back.
    UndoStarted {
        /// The ledger's number.
        entry: u32,
        /// The host.
        host: String,
        /// What the setting is.
        name: String,
    },
    /// It was taken back, or could not be.
    UndoFinished {
        /// The ledger's number.
        entry: u32,
        /// The host.
        host: String,
        /// What the setting is.
        name: String,
        /// Whether it is as before, read back.
        done: bool,
        /// Why not, and what to do by hand; empty when it was.
        message: String,
    },
    /// A play, or a batch of it, waits for a person or for a pause to end. Nothing new is started meanwhile.
    Held {
        /// The play.
        play: PlayId,
        /// The batch, from 0.
        batch: u32,
        /// The hosts that wait.
        hosts: Vec<String>,
        /// Why: `approval of masters`, `paused by ann@bastion`.
        why: String,
    },
    /// It goes on.
    Released {
        /// The play.
        play: PlayId,
        /// The batch.
        batch: u32,
        /// Who let it: `ann@bastion`.
        by: String,
    },
    /// The gates have to go on holding for a while after a batch.
    Baking {
        /// The play.
        play: PlayId,
        /// The batch.
        batch: u32,
        /// For how long already, milliseconds.
        waited: u64,
        /// For how long in all, milliseconds.
        within: u64,
    },
    /// They did.
    Baked {
        /// The play.
        play: PlayId,
        /// The batch.
        batch: u32,
    },
    /// A person's request reached the run: `pause`, `resume`, `continue`, `abort`, `skip`, `retry`.
    Controlled {
        /// Which line of the run's control file, from 0.
        request: u64,
        /// Who: `ann@bastion`.
        by: String,
        /// What.
        command: String,
        /// Of what: a phase, hosts; may be empty.
        argument: String,
        /// Why; may be empty.
        reason: String,
        /// What came of it, for the one who asks.
        answer: String,
        /// Whether it was not done.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// A host was left out by a person.
    HostSkipped {
        /// The host.
        host: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// This run's lease lies on a host that it is about to change.
    LeaseTaken {
        /// The host.
        host: String,
    },
}
