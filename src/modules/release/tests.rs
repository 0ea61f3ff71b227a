#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::base::{Content, Value};
use crate::modules::fixture::{Fixture, SHELLS, Shell, bind, run_script_with};
use crate::modules::{Act, Step};

/// A host: a folder, a shell, and what this machine has to push.
struct Host {
    folder: tempfile::TempDir,
    shell: Shell,
    here: Fixture,
}

impl Host {
    fn new(shell: Shell) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["sbin", "opt"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let mut here = Fixture::default();
        here.files.insert(PathBuf::from("m-1"), vec![b'1'; 300_000]);
        here.files.insert(PathBuf::from("m-2"), vec![b'2'; 300_001]);
        here.files.insert(PathBuf::from("m-3"), vec![b'3'; 300_002]);
        Self { folder, shell, here }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bound(&self, more: Value) -> Result<Box<dyn State>, Failure> {
        let mut arguments = json!({"name": "m", "root": self.at("opt"), "link": self.at("sbin/m")});
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
            if all.contains_key("links") {
                all.remove("link");
            }
        }
        match bind(&SPEC, arguments, &self.here)? {
            Bound::State(state) => Ok(state),
            other => panic!("{other:?}"),
        }
    }

    fn probe(&self, state: &dyn State) -> Output {
        let seen = run_script_with(&self.shell, &state.probe(), b"");
        assert_eq!(seen.err(), "", "{:?}", self.shell);
        seen
    }

    fn bytes(&self, content: Option<&Content>) -> Vec<u8> {
        match content {
            None => Vec::new(),
            Some(Content::Bytes(bytes)) => bytes.to_vec(),
            Some(Content::File { file, offset }) => {
                let all = self.here.files.get(&file.path).expect("a file");
                all.get(usize::try_from(*offset).expect("small")..).expect("an offset in it").to_vec()
            }
        }
    }

    /// Does a step; with `cut`, its input ends after so many bytes.
    fn act(&self, step: &Step, cut: Option<usize>) -> Output {
        let Act::Script { script, stdin } = &step.act else { panic!("a script") };
        let mut input = self.bytes(stdin.as_ref());
        input.truncate(cut.unwrap_or(input.len()));
        run_script_with(&self.shell, script, &input)
    }

    /// Probes, does the steps, and probes again: what was done and the result. What the preview expected is what is seen.
    fn bring(&self, arguments: Value) -> Result<(Vec<String>, Map), String> {
        let state = self.bound(arguments).map_err(|failure| failure.message)?;
        let seen = self.probe(&*state);
        let change = state.steps(&seen).map_err(|failure| failure.message)?;
        let done: Vec<String> = change.steps.iter().map(|step| step.summary.clone()).collect();
        let expected = state.expect(&seen, &change).expect("a preview");
        let outputs: Vec<Applied> = change.steps.iter().map(|step| Applied::Output(self.act(step, None))).collect();
        let result = state.finish(change, &outputs).map_err(|failure| failure.message)?;
        let again = state.steps(&self.probe(&*state)).expect("a second look");
        assert_eq!(again.steps, Vec::new(), "{:?}: a second run has nothing to do", self.shell);
        assert_eq!(state.steps(&expected).expect("a preview").steps, Vec::new());
        assert_eq!(again.result, result, "{:?}", self.shell);
        Ok((done, result))
    }

    fn done(&self, arguments: Value) -> Result<Vec<String>, String> {
        self.bring(arguments).map(|(done, _)| done)
    }

    fn target(&self) -> String {
        std::fs::read_link(self.at("sbin/m")).expect("a link").display().to_string()
    }
}

fn each(test: impl Fn(&Host)) {
    for &shell in SHELLS {
        test(&Host::new(shell));
    }
}

fn staged(version: u32) -> Value {
    json!({"version": version.to_string(), "src": format!("m-{version}")})
}

fn active(version: u32) -> Value {
    json!({"version": version.to_string(), "state": "active"})
}

#[test]
fn it_is_staged_then_put_in_force_then_nothing_is_left_to_do() {
    each(|host| {
        std::fs::write(host.at("sbin/m-old"), "old").expect("written");
        symlink(host.at("sbin/m-old"), host.at("sbin/m")).expect("a link");
        let (done, result) = host.bring(staged(1)).expect("stages");
        assert_eq!(done, ["send m 1 (292.9 KiB)"]);
        assert_eq!(result.get("active"), Some(&json!(false)));
        assert_eq!(host.target(), host.at("sbin/m-old").display().to_string(), "staging puts nothing in force");
        assert_eq!(host.done(staged(1)).expect("nothing"), Vec::<String>::new());
        let (done, result) = host.bring(active(1)).expect("activates");
        assert_eq!(done, [format!("put m 1 in force at {}", host.at("sbin/m").display())]);
        assert_eq!(host.target(), host.at("opt/m/1/m").display().to_string());
        assert_eq!(result.get("previous"), Some(&json!(host.at("sbin/m-old"))));
        assert_eq!((result.get("active"), result.get("staged")), (Some(&json!(true)), Some(&json!(true))));
        let mode = std::fs::metadata(host.at("opt/m/1/m")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(std::fs::read(host.at("sbin/m")).expect("there"), vec![b'1'; 300_000]);
        let entries = std::fs::read_dir(host.at("opt/m")).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert_eq!(names, ["1", "1.release", "1.sha256sums", "links"]);
    });
}

#[test]
fn an_upload_that_was_cut_goes_on_where_it_was() {
    each(|host| {
        let state = host.bound(staged(1)).expect("binds");
        let change = state.steps(&host.probe(&*state)).expect("steps");
        let output = host.act(&change.steps[0], Some(100_000));
        assert_ne!(output.status, 0);
        assert!(output.err().contains("only 100000 of 300000 bytes"), "{}", output.err());
        assert!(!host.at("opt/m/1").exists());
        assert_eq!(host.done(staged(1)).expect("goes on"), ["send the rest of m 1 (195.3 KiB of 292.9 KiB)"]);
        assert_eq!(std::fs::read(host.at("opt/m/1/m")).expect("there").len(), 300_000);
    });
}

#[test]
fn a_rest_that_does_not_fit_is_found_out_and_nothing_is_in_force() {
    each(|host| {
        let state = host.bound(staged(1)).expect("binds");
        let change = state.steps(&host.probe(&*state)).expect("steps");
        host.act(&change.steps[0], Some(100_000));
        let partial = std::fs::read_dir(host.at("opt/m"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.to_string_lossy().ends_with(".partial"))
            .expect("what arrived");
        std::fs::write(&partial, vec![b'x'; 100_000]).expect("damaged");
        let message = host.done(staged(1)).expect_err("fails");
        assert!(message.contains("the checksum of what arrived is wrong"), "{message}");
        assert!(!partial.exists() && !host.at("opt/m/1").exists() && !host.at("opt/m/1.release").exists());
        assert_eq!(host.done(staged(1)).expect("starts over"), ["send m 1 (292.9 KiB)"]);
    });
}

#[test]
fn a_plain_file_in_the_links_place_is_kept_aside() {
    each(|host| {
        std::fs::write(host.at("sbin/m"), "the package's own").expect("written");
        std::fs::set_permissions(host.at("sbin/m"), std::fs::Permissions::from_mode(0o751)).expect("set");
        host.done(staged(1)).expect("stages");
        let (_, result) = host.bring(active(1)).expect("activates");
        let kept = result.get("previous").and_then(Value::as_str).expect("a path").to_owned();
        assert!(kept.contains("/opt/m/original-") && kept.ends_with("/m"), "{kept}");
        assert_eq!(std::fs::read_to_string(&kept).expect("kept"), "the package's own");
        assert_eq!(std::fs::metadata(&kept).expect("kept").permissions().mode() & 0o7777, 0o751);
        let back = json!({"version": "1", "state": "reverted"});
        assert_eq!(host.done(back).expect("goes back").len(), 1);
        assert_eq!(host.target(), kept);
    });
}

#[test]
fn the_way_back_is_what_was_in_force_before_that_version() {
    each(|host| {
        for version in [1, 2] {
            host.done(staged(version)).expect("stages");
            host.done(active(version)).expect("activates");
        }
        let back = json!({"version": "2", "state": "reverted"});
        let (done, result) = host.bring(back.clone()).expect("goes back");
        assert_eq!(done, [format!("put back what was in force before m 2: {}", host.at("opt/m/1/m").display())]);
        assert_eq!(host.target(), host.at("opt/m/1/m").display().to_string());
        assert_eq!(result.get("active"), Some(&json!(false)));
        assert_eq!(host.done(back).expect("nothing"), Vec::<String>::new());
        assert_eq!(host.done(active(2)).expect("forward again").len(), 1);
    });
}

#[test]
fn old_versions_go_but_never_what_is_linked_was_or_runs() {
    each(|host| {
        // A program of its own that goes on running, so that the first version is executed by a process.
        let sleeper = std::fs::read("/bin/sleep").expect("a program");
        let mut here = host.here.files.clone();
        here.insert(PathBuf::from("m-1"), sleeper);
        let host = Host {
            folder: tempfile::tempdir().expect("a folder"),
            shell: host.shell,
            here: Fixture { files: here, ..Fixture::default() },
        };
        std::fs::create_dir(host.at("sbin")).expect("a folder");
        host.done(staged(1)).expect("stages");
        host.done(active(1)).expect("activates");
        let mut running = std::process::Command::new(host.at("sbin/m")).arg("300").spawn().expect("runs");
        let keep = |mut arguments: Value| {
            arguments["keep"] = json!(1);
            arguments
        };
        for version in [2, 3] {
            host.done(keep(staged(version))).expect("stages");
            host.done(keep(active(version))).expect("activates");
        }
        assert!(host.at("opt/m/1/m").exists(), "a process executes it");
        assert!(host.at("opt/m/2/m").exists(), "it is the way back");
        let message = host.done(json!({"version": "1", "state": "absent"})).expect_err("in use");
        assert_eq!(message, "m 1 can't be removed: a process uses it");
        let message = host.done(json!({"version": "3", "state": "absent"})).expect_err("in force");
        assert_eq!(message, "m 3 can't be removed: a link leads to it");
        running.kill().expect("stops");
        running.wait().expect("ends");
        let (done, _) = host.bring(keep(active(3))).expect("prunes");
        assert_eq!(done, ["remove old releases of m: 1"]);
        assert!(!host.at("opt/m/1").exists() && !host.at("opt/m/1.release").exists());
        assert!(host.at("opt/m/2/m").exists() && host.at("opt/m/3/m").exists());
    });
}

#[test]
fn what_is_not_staged_or_damaged_is_not_put_in_force() {
    each(|host| {
        let message = host.done(active(1)).expect_err("not staged");
        assert_eq!(message, "m 1 is not staged here: stage it first, with `src`");
        host.done(staged(1)).expect("stages");
        let message = host.done(active(2)).expect_err("not staged");
        assert_eq!(message, "m 2 is not staged here: stage it first, with `src`; there are 1");
        std::fs::write(host.at("opt/m/1/m"), vec![b'x'; 300_000]).expect("damaged");
        let message = host.done(active(1)).expect_err("damaged");
        assert!(message.contains("version 1 of m is damaged"), "{message}");
        assert!(!host.at("sbin/m").exists());
        let verified = json!({"version": "1", "src": "m-1", "verify": true});
        assert_eq!(host.done(verified).expect("stages again"), ["send m 1 (292.9 KiB)"]);
        std::fs::write(host.at("opt/m/1/m"), "short").expect("damaged");
        assert!(host.done(active(1)).expect_err("damaged").contains("m 1 is damaged"));
    });
}

#[test]
fn other_content_under_a_version_in_force_is_refused() {
    each(|host| {
        host.done(staged(1)).expect("stages");
        host.done(json!({"version": "1", "src": "m-2"})).expect("is replaced while nothing uses it");
        host.done(active(1)).expect("activates");
        let message = host.done(staged(1)).expect_err("in force");
        assert!(message.contains("is there with other content") && message.contains("another version"), "{message}");
    });
}

#[test]
fn two_daemons_of_one_host_have_links_of_their_own() {
    each(|host| {
        for name in ["m", "s"] {
            let link = host.at(&format!("sbin/{name}"));
            let both = json!({"name": name, "version": "1", "src": "m-1", "state": "active", "link": link});
            assert_eq!(host.done(both).expect("activates").len(), 2);
        }
        let only = json!({"name": "m", "version": "2", "src": "m-2", "state": "active", "link": host.at("sbin/m")});
        host.done(only).expect("activates");
        assert_eq!(host.target(), host.at("opt/m/2/m").display().to_string());
        let other = std::fs::read_link(host.at("sbin/s")).expect("a link");
        assert_eq!(other, host.at("opt/s/1/s"));
    });
}

#[test]
fn a_folder_is_sent_file_by_file_and_goes_on_where_it_was_cut() {
    each(|host| {
        let mut here = Fixture::default();
        for (name, size) in [("rel/bin/m", 2000), ("rel/lib/it's.so", 70_000)] {
            here.files.insert(PathBuf::from(name), vec![b'f'; size]);
        }
        let host = Host { folder: tempfile::tempdir().expect("a folder"), shell: host.shell, here };
        std::fs::create_dir(host.at("sbin")).expect("a folder");
        let links = json!({host.at("sbin/m").display().to_string(): "bin/m", host.at("lib/m.so").display().to_string(): "lib/it's.so"});
        let wanted = json!({"version": "1", "src": "rel", "links": links, "state": "active"});
        let state = host.bound(wanted.clone()).expect("binds");
        let change = state.steps(&host.probe(&*state)).expect("steps");
        assert_eq!(change.steps.len(), 4);
        assert_eq!(host.act(&change.steps[0], None).status, 0);
        assert_ne!(host.act(&change.steps[1], Some(5000)).status, 0);
        let (done, result) = host.bring(wanted).expect("goes on");
        assert_eq!(done[0], "send the rest of m 1 (63.4 KiB of 68.3 KiB): lib/it's.so");
        assert_eq!(done.len(), 3);
        assert_eq!(result.get("path"), Some(&json!(host.at("opt/m/1"))));
        assert_eq!(host.target(), host.at("opt/m/1/bin/m").display().to_string());
        assert_eq!(std::fs::read(host.at("lib/m.so")).expect("leads there").len(), 70_000);
    });
}

#[test]
fn an_archive_is_unpacked_and_a_link_leads_to_its_folder() {
    each(|host| {
        let made = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(made.path().join("rel-1/bin")).expect("folders");
        std::fs::write(made.path().join("rel-1/bin/m"), "program").expect("written");
        let mut here = Fixture::default();
        for version in [1, 2] {
            std::fs::write(made.path().join("rel-1/VERSION"), version.to_string()).expect("written");
            let tar = made.path().join("a.tar.gz");
            let packed = std::process::Command::new("tar")
                .arg("-czf")
                .arg(&tar)
                .arg("-C")
                .arg(made.path())
                .arg("rel-1")
                .status();
            assert!(packed.expect("tar runs").success());
            here.files.insert(PathBuf::from(format!("rel-{version}.tar.gz")), std::fs::read(&tar).expect("packed"));
        }
        let host = Host { folder: tempfile::tempdir().expect("a folder"), shell: host.shell, here };
        std::fs::create_dir(host.at("sbin")).expect("a folder");
        for version in [1, 2] {
            let wanted = json!({"version": version.to_string(), "src": format!("rel-{version}.tar.gz"), "strip": 1, "state": "active"});
            assert_eq!(host.done(wanted).expect("activates").len(), 2);
            assert_eq!(host.target(), host.at(&format!("opt/m/{version}")).display().to_string());
            assert_eq!(std::fs::read_to_string(host.at("sbin/m/VERSION")).expect("there"), version.to_string());
        }
        assert!(
            !host.at("opt/m/1/m").exists()
                && !host.at("opt/m/1").join(host.at("opt/m/2").file_name().expect("2")).exists()
        );
        std::fs::remove_file(host.at("opt/m/2/bin/m")).expect("removed");
        assert!(host.done(active(2)).expect_err("damaged").contains("m 2 is damaged"));
    });
}

#[test]
fn a_disk_without_room_is_said_before_anything_is_sent() {
    let host = Host::new(Shell::Dash);
    let state = host.bound(staged(1)).expect("binds");
    let seen = Output { stdout: b"free\t1000000\n".to_vec(), ..Output::default() };
    let message = state.steps(&seen).expect_err("no room").message;
    assert!(message.starts_with("no room for m 1: 292.9 KiB are needed below"), "{message}");
    assert!(message.ends_with("976.5 KiB are free"), "{message}");
}

#[test]
fn without_a_link_the_program_is_looked_for() {
    let host = Host::new(Shell::Dash);
    let bound = bind(&SPEC, json!({"name": "m", "version": "1", "state": "active"}), &host.here).expect("binds");
    let Bound::State(state) = bound else { panic!("a state") };
    let have = "have\t1\t5\tabc\t10\tfile\twhole\tfree\t755\troot\troot\t0\t0\n";
    let steps = |seen: String| {
        let seen = Output { stdout: seen.into_bytes(), ..Output::default() };
        state.steps(&seen).map(|change| change.steps[0].diff.clone()).map_err(|failure| failure.message)
    };
    let found = steps(format!("{have}found\t/usr/sbin/m\nlink\t/usr/sbin/m\tlink\t/opt/old/m\n"));
    let diff = found.expect("steps").expect("a diff");
    assert_eq!(diff.before, "/usr/sbin/m -> /opt/old/m\n");
    assert_eq!(diff.after, "/usr/sbin/m -> /opt/stagger/m/1/m\n");
    let message = steps(have.to_owned()).expect_err("which path?");
    assert!(message.contains("no such program is in the usual folders; give `link`"), "{message}");
    let message = steps(format!("{have}found\t/usr/sbin/m\nlink\t/usr/sbin/m\tdirectory\t\n")).expect_err("a folder");
    assert!(message.contains("/usr/sbin/m is a folder"), "{message}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new(Shell::Dash);
    let refused = |arguments: Value| host.bound(arguments).expect_err("is refused").message;
    assert!(refused(json!({"version": "../1"})).contains("`version` must be of letters"));
    assert!(refused(json!({"version": "1", "src": "m-1", "state": "absent"})).contains("`src` goes with"));
    assert!(refused(json!({"version": "1", "src": "nothing"})).contains("no file `nothing`"));
    assert!(refused(json!({"version": "1", "src": "m-1", "keep": 0})).contains("`keep` must be 1 or more"));
    assert!(refused(json!({"version": "1", "src": "m-1", "sha256": "00"})).contains("is not what it should be"));
    assert!(refused(json!({"version": "1", "links": {"/a": "../x"}})).contains("inside the release"));
    assert!(refused(json!({"version": "1", "src": "m-1", "unpack": true})).contains("can't be unpacked"));
    assert!(refused(json!({"version": "1", "root": "opt"})).contains("absolute"));
}

#[test]
fn a_path_is_below_a_folder_only_at_a_slash() {
    assert!(seen::is_below("/o/m/1/m", "/o/m/1") && seen::is_below("/o/m/1", "/o/m/1"));
    assert!(!seen::is_below("/o/m/10/m", "/o/m/1"));
    assert!(!Path::new("/o/m/10").starts_with("/o/m/1"));
}
