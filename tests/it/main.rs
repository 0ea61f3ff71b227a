//! One integration binary, so that all tests share one link and one set of rehearsal hosts.

mod diagnostics;
mod hermetic;
mod inventory;
mod lab;
mod readme;
mod tidy;
