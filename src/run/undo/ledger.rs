//! The ledger: what has to be taken back, in the order in which it was changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::Map;
use crate::event::{EventKind, TaskKey, UndoTask};
use crate::run::render::Room;

/// A setting that is changed for a time, and what takes it back: what [`EventKind::UndoArmed`] says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Armed {
    /// Its number in the run's ledger, from 0.
    pub(crate) entry: u32,
    /// The task that changes the setting.
    pub(crate) key: TaskKey,
    /// Whose setting it is.
    pub(crate) host: String,
    /// The loop item's index; 0 without a loop.
    pub(crate) item: u32,
    /// What the setting is, for people.
    pub(crate) name: String,
    /// `file:line` of the task.
    pub(crate) place: String,
    /// It stands for all hosts of its batch.
    pub(crate) shared: bool,
    /// The values before the change of variables that conditions use.
    pub(crate) variables: Map,
    /// What takes it back, in order.
    pub(crate) tasks: Vec<UndoTask>,
}

impl Armed {
    /// Of an event, when it is of that kind.
    fn of(kind: &EventKind) -> Option<Self> {
        let EventKind::UndoArmed { entry, key, host, item, name, place, shared, variables, tasks } = kind else {
            return None;
        };
        Some(Self {
            entry: *entry,
            key: key.clone(),
            host: host.clone(),
            item: *item,
            name: name.clone(),
            place: place.clone(),
            shared: *shared,
            variables: variables.clone(),
            tasks: tasks.clone(),
        })
    }

    /// As an event.
    pub(super) fn event(&self) -> EventKind {
        let Self { entry, key, host, item, name, place, shared, variables, tasks } = self.clone();
        EventKind::UndoArmed { entry, key, host, item, name, place, shared, variables, tasks }
    }
}

/// What a journal says of undos, for the run that goes on with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    armed: BTreeMap<u32, Armed>,
    done: Vec<Armed>,
    next: u32,
}

impl Pending {
    /// Takes the journal's events, in order.
    pub(crate) fn on(&mut self, kind: &EventKind) {
        if let Some(armed) = Armed::of(kind) {
            self.next = self.next.max(armed.entry.saturating_add(1));
            self.armed.insert(armed.entry, armed);
        }
        if let EventKind::UndoFinished { entry, done: true, .. } = kind {
            self.done.extend(self.armed.remove(entry));
        }
    }

    /// The task and the host of an entry that was taken back.
    pub(crate) fn done(&self, entry: u32) -> Option<(&TaskKey, &str)> {
        let armed = self.done.iter().find(|armed| armed.entry == entry)?;
        Some((&armed.key, armed.host.as_str()))
    }

    /// Whether nothing is left to be taken back.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

/// A setting that is still changed at the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotUndone {
    /// What has to be taken back.
    pub(crate) armed: Armed,
    /// Why it was not; empty when it was not tried.
    pub(crate) why: String,
}

/// One entry.
pub(super) struct Entry {
    pub(super) armed: Armed,
    /// Variables at the time of the change; none when the entry comes from a journal.
    pub(super) room: Option<Room>,
}

/// Where an entry is.
enum Place {
    Pending,
    /// Somebody is at it.
    Taken,
    /// It was tried: why it could not be taken back.
    Failed(String),
    Done,
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<u32, (Arc<Entry>, Place)>,
    next: u32,
}

/// The ledger of a run.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what an earlier process of this run left.
    pub(crate) fn restore(&self, pending: Pending) {
        let mut book = self.book();
        book.next = book.next.max(pending.next);
        for (number, armed) in pending.armed {
            book.entries.insert(number, (Arc::new(Entry { armed, room: None }), Place::Pending));
        }
    }

    /// Whether a change of an earlier process was taken back by this one.
    pub(in crate::run) fn took_back(&self, key: &TaskKey, host: &str) -> bool {
        self.book().entries.values().any(|(entry, place)| {
            let armed = &entry.armed;
            entry.room.is_none() && armed.key == *key && armed.host == host && matches!(place, Place::Done)
        })
    }

    /// Whether this change of this host is in it already, not yet taken back: a second try changes nothing of what was before.
    pub(super) fn knows(&self, key: &TaskKey, host: &str, item: u32) -> bool {
        self.book().entries.values().any(|(entry, place)| {
            let armed = &entry.armed;
            armed.key == *key && armed.host == host && armed.item == item && !matches!(place, Place::Done)
        })
    }

    /// Writes an entry down under the next number, and says so while nobody else can: the journal has the entries in the order of
    /// their numbers.
    pub(super) fn arm(&self, mut armed: Armed, room: Room, say: impl FnOnce(&Armed)) {
        let mut book = self.book();
        armed.entry = book.next;
        book.next = book.next.saturating_add(1);
        say(&armed);
        let number = armed.entry;
        book.entries.insert(number, (Arc::new(Entry { armed, room: Some(room) }), Place::Pending));
    }

    /// Strikes out what was armed for a change that was not made after all.
    pub(in crate::run) fn disarm(&self, key: &TaskKey, host: &str, item: u32) {
        self.book().entries.retain(|_, (entry, place)| {
            let armed = &entry.armed;
            !(armed.key == *key && armed.host == host && armed.item == item && matches!(place, Place::Pending))
        });
    }

    /// Takes the entries that are wanted and that nobody has tried, the last first.
    pub(super) fn take(&self, wanted: impl Fn(&Armed) -> bool) -> Vec<Arc<Entry>> {
        let mut taken = Vec::new();
        for (entry, place) in self.book().entries.values_mut().rev() {
            if matches!(place, Place::Pending) && wanted(&entry.armed) {
                *place = Place::Taken;
                taken.push(Arc::clone(entry));
            }
        }
        taken
    }

    /// Puts back what was taken and not tried.
    pub(super) fn put_back(&self, number: u32) {
        self.set(number, Place::Pending);
    }

    /// Writes down how an entry ended: `Err` says why its setting is not as before.
    pub(super) fn ended(&self, number: u32, outcome: &Result<(), String>) {
        self.set(number, outcome.as_ref().err().map_or(Place::Done, |why| Place::Failed(why.clone())));
    }

    fn set(&self, number: u32, to: Place) {
        if let Some((_, place)) = self.book().entries.get_mut(&number) {
            *place = to;
        }
    }

    /// What is still changed, in the order in which it was changed.
    pub(crate) fn not_undone(&self) -> Vec<NotUndone> {
        let left = |(entry, place): &(Arc<Entry>, Place)| {
            let why = match place {
                Place::Done => return None,
                Place::Pending | Place::Taken => String::new(),
                Place::Failed(why) => why.clone(),
            };
            Some(NotUndone { armed: entry.armed.clone(), why })
        };
        self.book().entries.values().filter_map(left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PlayId, TaskId};

    fn key(task: u32) -> TaskKey {
        TaskKey { play: PlayId(0), batch: 0, task: TaskId(task), pass: 0 }
    }

    fn armed(entry: u32, host: &str) -> Armed {
        Armed {
            entry,
            key: key(entry),
            host: host.to_owned(),
            item: 0,
            name: "n".to_owned(),
            place: String::new(),
            shared: false,
            variables: Map::new(),
            tasks: Vec::new(),
        }
    }

    fn finished(entry: u32, done: bool) -> EventKind {
        EventKind::UndoFinished { entry, host: "h".to_owned(), name: "n".to_owned(), done, message: String::new() }
    }

    #[test]
    fn what_a_journal_left_is_taken_the_last_first_and_numbers_go_on() {
        let mut pending = Pending::default();
        for event in [
            armed(0, "a").event(),
            armed(1, "b").event(),
            armed(2, "a").event(),
            finished(1, true),
            finished(2, false),
            armed(3, "b").event(),
            finished(3, true),
        ] {
            pending.on(&event);
        }
        assert_eq!(pending.done(3), Some((&key(3), "b")));
        assert_eq!(pending.done(2), None);
        let ledger = Ledger::default();
        ledger.restore(pending);
        assert!(ledger.knows(&key(2), "a", 0) && !ledger.knows(&key(2), "b", 0));
        let taken: Vec<u32> = ledger.take(|_| true).iter().map(|entry| entry.armed.entry).collect();
        assert_eq!(taken, [2, 0]);
        assert!(ledger.take(|_| true).is_empty(), "nobody takes what another is at");
        ledger.ended(2, &Ok(()));
        ledger.ended(0, &Err("it is broken".to_owned()));
        let left = ledger.not_undone();
        assert_eq!(
            left.iter().map(|left| (left.armed.entry, left.why.as_str())).collect::<Vec<_>>(),
            [(0, "it is broken")]
        );
        assert!(!ledger.knows(&key(2), "a", 0));
        assert_eq!(ledger.book().next, 4);
    }
}
