//! One integration binary, so that all tests share one link and one set of rehearsal hosts.

mod inventory;
mod lab;
mod readme;
mod tidy;
