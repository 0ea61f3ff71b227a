//! Rehearsal hosts and stand-in daemons: a cluster on this machine to try an upgrade on.
//!
//! A host is a tree of mounts and namespaces with OpenSSH's sshd and a small init; it is thrown away afterwards. Nothing that is
//! done on one touches this machine. Daemons on them are real (ZooKeeper) or stand-ins that behave as the real ones were seen to.
//!
//! This room shares nothing with `cluster`, `modules` or `transport`, on purpose: a stand-in that shared a table or a parser with
//! what it tests would agree with its mistakes. What it cannot know: whether a real daemon behaves so on a day when
//! nobody recorded it.

#![expect(
    clippy::disallowed_methods,
    reason = "this room's files are its own, and its daemons have a clock of their own"
)]

mod control;
mod enclose;
mod error;
mod fault;
mod folder;
mod host;
mod init;
mod leader;
mod processes;
mod program;
mod release;
mod seed;
mod spec;
mod standin;
mod tree;
mod up;
mod zookeeper;

pub(crate) use enclose::outer;
pub(crate) use error::LabError;
pub(crate) use fault::{Fault, fault};
pub(crate) use folder::Folder;
pub(crate) use init::run as init;
pub(crate) use leader::leader;
pub(crate) use release::{make as make_release, standin_of_current_exe};
pub(crate) use spec::{HostKind, HostSpec, LabSpec};
pub(crate) use standin::{DcosSetup, act, dcos};
pub(crate) use up::{HostStatus, down, load, status, up};
