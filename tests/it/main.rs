//! One integration binary, so that all tests share one link and one set of rehearsal hosts.

#![expect(clippy::disallowed_methods, reason = "tests read what the program wrote")]

mod ansible;
mod becoming;
mod booted;
mod callbacks;
mod control;
mod dcos;
mod detached;
mod diagnostics;
mod elastic;
mod faults;
mod guards;
mod hermetic;
mod hostile;
mod interrupts;
mod inventory;
mod kills;
mod lab;
mod lock;
mod looking;
mod mesos;
mod mesos_hops;
mod mesos_modules;
mod modules;
mod planned;
mod readme;
mod rehearsal;
mod resume;
mod rollback;
mod secrets;
mod ssh;
mod system;
mod terminal;
mod tidy;
mod undo;
mod vault;
mod vault_command;
