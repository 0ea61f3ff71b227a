//! What is known about clusters: tables, parsers and verdicts. Pure: no IO, no clock, no template.
//!
//! Knowledge is data (tables beside the code, made from released sources and real daemons), not `if`s. Everything read
//! here came from a host or a daemon and may be garbage: a parser gives an error, never a panic, and keeps a bound.
//! The modules of a playbook ask the questions and bring the answers here.

pub(crate) mod dcos;
pub(crate) mod elastic;
pub(crate) mod mesos;
