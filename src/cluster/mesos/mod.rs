//! Mesos 0.11 to 1.11: flags, hops, where a host keeps its flags, what daemons and `ZooKeeper` answer.
//!
//! What cannot be known here: a supervisor's own command line (only what its files say); whether a `MESOS_` variable
//! comes from elsewhere than those files; the version of a daemon before 0.13 (no endpoint says it).
//! `activated_slaves`, `lost_tasks` and every other counter are never used: they restart with each leader and count
//! slaves that are gone. Standbys go on naming a dead leader until its session ends (10 s), so a leader is believed only when it
//! answers itself.

mod adopted;
mod authenticated;
mod confirmation;
mod credentials;
mod deploy_script;
mod duty;
mod fatal;
mod flag_table;
mod flag_value;
mod hops;
mod origin;
mod shell_file;
mod state;
mod version;
mod view;
mod wish;
mod zookeeper;

pub(crate) use adopted::{Convention, Found, Host, Paths, Setting, command_line, read_host};
pub(crate) use authenticated::{Authentication, Authentications, read_authentications};
pub(crate) use confirmation::{Confirmation, confirmations};
pub(crate) use credentials::{
    CredentialsForm, check_credentials, credentials_of, parse_credentials, render_credentials,
};
pub(crate) use duty::{check_set, unknown_flag};
pub(crate) use fatal::{FatalKind, last_fatal, said_reregistered};
pub(crate) use flag_table::{Daemon, FlagInfo, FlagType, Release, flag, flag_names};
pub(crate) use flag_value::{check_value, same_value};
pub(crate) use hops::{Hop, before, disk_differs, hop, hops, neighbours};
pub(crate) use origin::{Channel, Origin};
pub(crate) use state::{MasterState, Slave, SlaveState, Task, parse_master, parse_slave};
pub(crate) use version::Version;
pub(crate) use view::{MasterAnswer, agreed_leader, name_of};
pub(crate) use wish::{Wish, flag_text, plan};
pub(crate) use zookeeper::{MasterZnode, ZkUrl, mask_urls, parse_znodes};
