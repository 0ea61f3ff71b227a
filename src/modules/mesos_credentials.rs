//! `mesos_credentials`: the file of names and secrets that masters read, in the form of the version that will read it.
//!
//! No secret is in an argument, a diff, a result or the journal: what it is given is hidden from then on, and neither contents nor
//! checksums are told. A master reads the file when it starts and at no other time: it can't know whether one that runs has read it
//! (`mesos_authenticated` looks at that).

use super::host_file::{Fresh, Place, Seen, Wanted, finish_with_look};
use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, Rule, State, Step,
};
use crate::base::{Map, Output, Script};
use crate::cluster::mesos::{
    CredentialsForm, Version, check_credentials, credentials_of, parse_credentials, render_credentials,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_credentials",
    aliases: &[],
    summary: "Gives Mesos masters the file of credentials, in the form of the version that will read it, and shows no secret",
    options: &[
        Opt::new("version", OptKind::Text, "the version that will read it").required(),
        // Of any kind: a message about a wrong kind would show the value.
        Opt::new("credentials", OptKind::Any, "principals and their secrets, or a list of `principal` and `secret`"),
        Opt::new("src", OptKind::LocalPath, "a file of this machine in either form, in place of `credentials`"),
        Opt::new("path", OptKind::Path, "the file on the host, as in `--credentials`")
            .default("/etc/mesos/credentials"),
        Opt::new("format", OptKind::Choice(CredentialsForm::WORDS), "text or json; auto takes what the version reads")
            .default("auto"),
        Opt::new("owner", OptKind::Text, "whose file it is, if not of who writes it: the user that the master runs as"),
        Opt::new("group", OptKind::Text, "its group"),
        Opt::new("mode", OptKind::Mode, "permission bits; none for others").default("0600"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::OneOf(&["credentials", "src"]), Rule::AtMostOne(&["credentials", "src"])],
    check: Some(check),
    build,
};

/// What needs no host: whether the version reads such a file, and where it is.
fn check(arguments: &Arguments) -> Result<(), String> {
    let literal = |name: &str| arguments.text(name).filter(|text| !text.contains("{{"));
    if let Some(path) = literal("path") {
        split(&path)?;
    }
    if let Some(mode) = literal("mode") {
        private(&mode)?;
    }
    match (literal("version"), literal("format")) {
        (Some(version), Some(format)) => CredentialsForm::of(&format, Version::parse(&version)?).map(|_| ()),
        _ => Ok(()),
    }
}

/// A path's folder, with `/` at its end, and its last name. The daemons take `file://` before it.
fn split(path: &str) -> Result<(&str, &str), String> {
    let plain = path.strip_prefix("file://").unwrap_or(path);
    match plain.rfind('/') {
        Some(at) if plain.starts_with('/') && at + 1 < plain.len() => Ok(plain.split_at(at + 1)),
        _ => Err(format!("`path` is an absolute path of a file, not `{path}`")),
    }
}

/// That a mode gives nothing to others.
fn private(mode: &str) -> Result<(), String> {
    match u32::from_str_radix(mode, 8) {
        Ok(bits) if bits & 0o007 == 0 => Ok(()),
        _ => Err(format!(
            "`mode` is octal and gives others nothing, as 0600 or 0640 do, not `{mode}`: secrets are in the file"
        )),
    }
}

#[derive(Debug)]
struct Credentials {
    place: Place,
    form: CredentialsForm,
    principals: Vec<String>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let version = Version::parse(&arguments.required("version")).map_err(Failure::new)?;
    let form = CredentialsForm::of(&arguments.required("format"), version).map_err(Failure::new)?;
    let path = arguments.required("path");
    let (folder, name) = split(&path).map_err(Failure::new)?;
    let mode = arguments.required("mode");
    private(&mode).map_err(Failure::new)?;
    let all = match (arguments.value("credentials"), arguments.text("src")) {
        (Some(value), _) => credentials_of(value).map_err(Failure::new)?,
        (None, src) => {
            let src = src.unwrap_or_default();
            let bytes = here.read(&here.find(Folder::Files, &src)?)?;
            let text = String::from_utf8(bytes).map_err(|_| Failure::new(format!("`{src}` is not text in UTF-8")))?;
            // The form on the host is another matter: any that a release reads is read here.
            let json = text.trim_start().starts_with('{');
            let reads = if json { Version::new(1, 0, 0) } else { version };
            let said = |wrong: Vec<String>| Failure::new(format!("`{src}` can't be taken: {}", wrong.join("\n")));
            parse_credentials(&text, reads).map_err(said)?
        }
    };
    for one in &all {
        here.hide(&one.secret);
    }
    check_credentials(&all, Some(form)).map_err(|wrong| Failure::new(wrong.join("\n")))?;
    let file = render_credentials(&all, form);
    Ok(Bound::State(Box::new(Credentials {
        place: Place {
            dest: folder.to_owned(),
            name: Some(name.to_owned()),
            // Never with a text for a diff, which would be fetched from the host too.
            fresh: Fresh::of(file.reveal().as_bytes(), false),
            wanted: Wanted { mode: Some(mode), ..Wanted::of(arguments) },
            directory_mode: Some("0755".to_owned()),
            backup: false,
            force: true,
            // A link would be someone's whose mode is not looked at: a file takes its place.
            follow: false,
            validate: None,
        },
        form,
        principals: all.into_iter().map(|one| one.principal).collect(),
    })))
}

impl Credentials {
    fn tell(&self, mut result: Map) -> Map {
        // With a checksum a short secret could be guessed.
        for key in ["checksum", "md5sum", "src"] {
            result.shift_remove(key);
        }
        result.insert("format".to_owned(), self.form.word().into());
        result.insert("principals".to_owned(), self.principals.clone().into());
        result
    }
}

impl State for Credentials {
    fn probe(&self) -> Script {
        self.place.probe()
    }

    fn subjects(&self) -> Vec<String> {
        self.place.subjects()
    }

    fn leaves(&self, _seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        // What a later task would see of it holds its content: that is not handed on.
        self.subjects().into_iter().map(|subject| (subject, None)).collect()
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let change = self.place.steps(&Seen::parse(seen)?)?;
        let steps = change.steps.into_iter().map(|step| Step { by_hand: None, ..step }).collect();
        Ok(Change { steps, result: self.tell(change.result) })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs).map(|result| self.tell(result))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::base::{Content, Value};
    use crate::modules::Act;
    use crate::modules::local_host::{Host, KINDS};

    fn wanted(host: &Host) -> Value {
        json!({"version": "0.15.0", "path": host.path("mesos/credentials"), "credentials": {"f1": "s3cret", "f2": "other"}})
    }

    #[test]
    fn the_file_is_there_whole_and_for_its_owner_alone() {
        for kind in KINDS {
            let host = Host::new(kind);
            let done = host.changes_once("mesos_credentials", wanted(&host));
            assert_eq!(host.read("mesos/credentials"), b"f1 s3cret\nf2 other\n");
            assert_eq!((host.mode("mesos/credentials"), host.mode("mesos")), (0o600, 0o755));
            assert_eq!(done["principals"], json!(["f1", "f2"]));
            // Too open, and with something at its end.
            host.write("mesos/credentials", "f1 s3cret\nf2 other\n\n");
            std::fs::set_permissions(
                host.path("mesos/credentials"),
                std::os::unix::fs::PermissionsExt::from_mode(0o644),
            )
            .unwrap();
            host.changes_once("mesos_credentials", wanted(&host));
            assert_eq!(host.mode("mesos/credentials"), 0o600);
            assert_eq!(host.names("mesos"), ["credentials"]);
            // A link is replaced, and what it led to is left alone.
            host.write("elsewhere", "theirs");
            std::fs::remove_file(host.path("mesos/credentials")).unwrap();
            std::os::unix::fs::symlink(host.path("elsewhere"), host.path("mesos/credentials")).unwrap();
            host.changes_once("mesos_credentials", wanted(&host));
            assert_eq!(host.read("elsewhere"), b"theirs");
        }
    }

    #[test]
    fn nothing_but_what_is_sent_holds_a_secret() {
        let host = Host::new(KINDS[0]);
        host.write("old", "f1 s3cret-old\n");
        let state = host.bind("mesos_credentials", wanted(&host)).unwrap();
        let change = host.plan(state.as_ref()).unwrap();
        let mut sent = 0;
        for step in &change.steps {
            let Act::Script { script, stdin } = &step.act else { panic!("a script") };
            assert!(!script.as_str().contains("s3cret") && step.by_hand.is_none() && step.diff.is_none());
            if let Some(Content::Bytes(bytes)) = stdin {
                sent += usize::from(bytes.starts_with(b"f1 s3cret"));
            }
        }
        assert_eq!(sent, 1);
        let told = serde_json::to_string(&change.result).unwrap();
        assert!(!told.contains("s3cret") && change.result.get("checksum").is_none(), "{told}");
    }

    #[test]
    fn a_file_of_this_machine_becomes_the_form_of_the_version() {
        let mut host = Host::new(KINDS[1]);
        for (name, text) in
            [("text", "f1 s3cret\n"), ("json", r#"{"credentials": [{"principal": "f1", "secret": "s3cret"}]}"#)]
        {
            host.here.files.insert(name.into(), text.into());
        }
        for (src, version, first) in
            [("text", "0.15.0", b'f'), ("json", "0.15.0", b'f'), ("text", "1.0.0", b'{'), ("json", "1.11.0", b'{')]
        {
            let file = format!("{src}-{version}");
            host.changes_once("mesos_credentials", json!({"version": version, "src": src, "path": host.path(&file)}));
            assert_eq!(host.read(&file).first(), Some(&first), "{file}");
        }
    }

    #[test]
    fn what_a_master_would_die_on_is_not_sent() {
        let mut host = Host::new(KINDS[0]);
        host.here.files.insert("bad".into(), b"# ours\nf1\ts3cret\n".to_vec());
        let with = |more: Value| {
            let mut all = json!({"version": "0.15.0", "path": host.path("c")});
            for (key, value) in more.as_object().unwrap() {
                all[key] = value.clone();
            }
            host.fails("mesos_credentials", all)
        };
        let said = with(json!({"src": "bad"}));
        assert!(
            said.contains("line 1 is a comment") && said.contains("line 2 has a tab") && !said.contains("s3cret"),
            "{said}"
        );
        assert!(with(json!({"credentials": {"f1": "my s3cret"}})).contains("text form can't say"));
        assert!(with(json!({"credentials": "f1 s3cret"})).ends_with("secret: …}`"));
        assert!(with(json!({"credentials": {"f": "xxxx"}, "mode": "0644"})).contains("gives others nothing"));
        assert!(with(json!({"credentials": {"f": "xxxx"}, "version": "0.14.2"})).contains("knows no credentials"));
        assert!(with(json!({"credentials": {"f": "xxxx"}, "path": "c"})).contains("absolute path"));
    }
}
