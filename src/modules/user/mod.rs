//! `user`: an account of the host, by `useradd` and its kin, or by busybox's `adduser` where only that is there.
//!
//! A password's hash goes to the host on the standard input of `chpasswd -e`, never on a command line; what the host says of the
//! present one is its SHA-256. Groups are looked for when the change is done, so that a preview can foresee a task that makes them.
//!
//! It can't know: whether a directory (LDAP) has the user where the host has no `getent`; that an account was made and its password
//! not set, with `update_password: on_create` and a host that lost its power between the two.

mod plan;
mod seen;

use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, step};
use crate::base::{Map, Output, Script, Secret, Value};
use seen::Seen;

const NOT_LINUX: &str = "only other systems than Linux have it";

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "user",
    aliases: &[],
    summary: "has an account on the host, or has it not",
    options: &[
        Opt::new("name", OptKind::Text, "the user").required().aliases(&["user"]),
        Opt::new("state", OptKind::Choice(&["present", "absent"]), "whether it is to be there").default("present"),
        Opt::new("uid", OptKind::Int, "its number"),
        Opt::new("non_unique", OptKind::Bool, "the number may be another user's too").default("false"),
        Opt::new("group", OptKind::Text, "its main group, by name or number"),
        Opt::new("groups", OptKind::List, "the groups that it is a member of; an empty text for none"),
        Opt::new("append", OptKind::Bool, "stays a member of other groups too").default("false"),
        Opt::new("comment", OptKind::Text, "its full name"),
        Opt::new("home", OptKind::Path, "its home folder"),
        Opt::new("create_home", OptKind::Bool, "makes the home folder where it is missing")
            .default("true")
            .aliases(&["createhome"]),
        Opt::new("move_home", OptKind::Bool, "with another `home`: takes along what is in the old one")
            .default("false"),
        Opt::new("skeleton", OptKind::Path, "the folder whose content a new home gets"),
        Opt::new("umask", OptKind::Text, "the umask of a new home"),
        Opt::new("shell", OptKind::Path, "its login shell"),
        Opt::new("system", OptKind::Bool, "a new account gets a number of the system's").default("false"),
        Opt::new("uid_min", OptKind::Int, "the lowest number that a new account may get"),
        Opt::new("uid_max", OptKind::Int, "the highest number that a new account may get"),
        Opt::new("password", OptKind::Text, "the hash of its password (filter `password_hash`); never shown"),
        Opt::new(
            "update_password",
            OptKind::Choice(&["always", "on_create"]),
            "whether an account that is there gets the password",
        )
        .default("always"),
        Opt::new("password_lock", OptKind::Bool, "locks the password, or opens it again"),
        Opt::new("password_expire_max", OptKind::Int, "days after which the password must be changed"),
        Opt::new("password_expire_min", OptKind::Int, "days before which it can't be changed again"),
        Opt::new("password_expire_warn", OptKind::Int, "days of warning before it expires"),
        Opt::new("password_expire_account_disable", OptKind::Int, "days from its end until the account is closed"),
        Opt::new("expires", OptKind::Text, "when the account ends, in seconds since 1970; negative for never"),
        Opt::new("force", OptKind::Bool, "removes it although it is logged in; makes an SSH key anew").default("false"),
        Opt::new("remove", OptKind::Bool, "removes its home too").default("false"),
        Opt::new("generate_ssh_key", OptKind::Bool, "makes an SSH key for it where there is none"),
        Opt::new("ssh_key_bits", OptKind::Int, "the length of that key").default("0"),
        Opt::new("ssh_key_type", OptKind::Text, "its type").default("rsa"),
        Opt::new("ssh_key_file", OptKind::Path, "where it is; by default .ssh/id_TYPE in the home"),
        Opt::new("ssh_key_comment", OptKind::Text, "its comment; by default `ansible-generated on` the host"),
        Opt::refused("ssh_key_passphrase", "it would stand on a command line; `ssh-keygen -p` sets one"),
        Opt::refused(
            "local",
            "only `luseradd` of libuser has it; the host's `useradd` writes to its own files already",
        ),
        Opt::refused("seuser", "SELinux contexts are left to the host's policy"),
        Opt::refused("login_class", NOT_LINUX),
        Opt::refused("hidden", NOT_LINUX),
        Opt::refused("profile", NOT_LINUX),
        Opt::refused("authorization", NOT_LINUX),
        Opt::refused("role", NOT_LINUX),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::When("non_unique", "true", &["uid"])],
    check: Some(check),
    build,
};

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("expires").filter(|text| !text.contains("{{")) {
        Some(text) if text.trim().parse::<f64>().is_err() => {
            Err(format!("`expires` is a number of seconds since 1970, not `{text}`"))
        }
        _ => Ok(()),
    }
}

/// An SSH key that is wanted.
#[derive(Debug)]
struct Key {
    kind: String,
    bits: String,
    file: Option<String>,
    comment: String,
}

#[derive(Debug)]
struct User {
    name: String,
    present: bool,
    uid: Option<i64>,
    non_unique: bool,
    group: Option<String>,
    groups: Option<Vec<String>>,
    append: bool,
    comment: Option<String>,
    home: Option<String>,
    create_home: bool,
    move_home: bool,
    skeleton: Option<String>,
    umask: Option<String>,
    shell: Option<String>,
    system: bool,
    range: [Option<i64>; 2],
    password: Option<Secret>,
    on_create: bool,
    lock: Option<bool>,
    /// Least, most and warning days of the password, days until it is idle, the day on which the account expires.
    ages: [Option<i64>; 5],
    force: bool,
    remove: bool,
    key: Option<Key>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    let name = arguments.required("name");
    if name.is_empty() || name.starts_with('-') || name.contains([':', '\n', '/', ',']) {
        return Err(Failure::new(format!("`{name}` can't be the name of a user")));
    }
    for option in ["comment", "home", "shell"] {
        if arguments.text(option).is_some_and(|text| text.contains([':', '\n'])) {
            return Err(Failure::new(format!("`{option}` can't have a colon or a newline in it")));
        }
    }
    let password = arguments.text("password").map(Secret::new);
    if let Some(secret) = password.as_ref().filter(|secret| secret.reveal().len() > 4) {
        here.hide(secret);
    }
    if password.as_ref().is_some_and(|secret| secret.reveal().contains([':', '\n'])) {
        return Err(Failure::new("`password` is a hash, which has no colon and no newline in it"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "days of people fit")]
    let expires = arguments
        .text("expires")
        .and_then(|text| text.trim().parse::<f64>().ok())
        .map(|seconds| if seconds < 0.0 { -1 } else { (seconds / 86_400.0).floor() as i64 });
    let key = arguments.flag("generate_ssh_key").then(|| Key {
        kind: arguments.required("ssh_key_type"),
        bits: arguments.int("ssh_key_bits").filter(|bits| *bits > 0).map(|bits| bits.to_string()).unwrap_or_default(),
        file: arguments.text("ssh_key_file"),
        comment: arguments.text("ssh_key_comment").unwrap_or_default(),
    });
    let groups = arguments.has("groups").then(|| {
        arguments.list("groups").into_iter().map(|group| group.trim().to_owned()).filter(|group| !group.is_empty())
    });
    Ok(Bound::State(Box::new(User {
        name,
        present: arguments.required("state") == "present",
        uid: arguments.int("uid"),
        non_unique: arguments.flag("non_unique"),
        group: arguments.text("group"),
        groups: groups.map(Iterator::collect),
        append: arguments.flag("append"),
        comment: arguments.text("comment"),
        home: arguments.text("home"),
        create_home: arguments.flag("create_home"),
        move_home: arguments.flag("move_home"),
        skeleton: arguments.text("skeleton"),
        umask: arguments.text("umask"),
        shell: arguments.text("shell"),
        system: arguments.flag("system"),
        range: [arguments.int("uid_min"), arguments.int("uid_max")],
        password,
        on_create: arguments.required("update_password") == "on_create",
        lock: arguments.has("password_lock").then(|| arguments.flag("password_lock")),
        ages: [
            arguments.int("password_expire_min"),
            arguments.int("password_expire_max"),
            arguments.int("password_expire_warn"),
            arguments.int("password_expire_account_disable"),
            expires,
        ],
        force: arguments.flag("force"),
        remove: arguments.flag("remove"),
        key,
    })))
}

impl State for User {
    fn probe(&self) -> Script {
        let file = self.key.as_ref().map(|key| key.file.clone().unwrap_or_else(|| format!(".ssh/id_{}", key.kind)));
        Script::new()
            .set("name", &self.name)
            .set("home", self.home.as_deref().unwrap_or(""))
            .set("key", file.as_deref().unwrap_or(""))
            .arguments(self.asked())
            .line(include_str!("probe.sh"))
    }

    fn subject(&self) -> String {
        format!("user {}", self.name)
    }

    fn expect(&self, _seen: &Output, _change: &Change) -> Option<Output> {
        // What a removal leaves is certain; what a change leaves is told by the host alone.
        (!self.present).then(|| Output { stdout: b"program useradd\nend\n".to_vec(), ..Output::default() })
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        self.plan(&Seen::parse(seen)?)
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let made = change.result.contains_key("create_home");
        let mut result =
            step::finish_by_status(change, outputs).map_err(|failure| failure.with("name", self.name.as_str()))?;
        let said: String = outputs
            .iter()
            .filter_map(|applied| match applied {
                Applied::Output(output) => Some(output.err()),
                Applied::Http(_) => None,
            })
            .collect();
        if !said.is_empty() {
            result.insert("stderr_lines".to_owned(), said.lines().map(Value::from).collect());
            result.insert("stderr".to_owned(), said.into());
        }
        let last = outputs.iter().rev().find_map(|applied| match applied {
            Applied::Output(output) => Seen::parse(output).ok(),
            Applied::Http(_) => None,
        });
        if let Some(seen) = last {
            self.tell(&seen, &mut result);
            if made && !self.create_home {
                result.insert("create_home".to_owned(), false.into());
            }
        }
        Ok(result)
    }
}
