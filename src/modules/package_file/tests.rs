//! Packages that are built here by dpkg-deb, installed below a folder of the test's own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{PackageFile, SPEC};
use crate::base::Value;
use crate::modules::local_host::{Host, KINDS, Kind};
use crate::modules::{Act, Arguments};

/// What its script after the install does: asks as Debian's do whether a service may be started, and starts it.
const AFTER: &str = "#!/bin/sh\nif \"$DPKG_ROOT/usr/sbin/policy-rc.d\" sleeping start; then echo yes; else echo \"no $?\"; fi >\"$DPKG_ROOT/asked\"\n";

struct Bench {
    host: Host,
}

impl Bench {
    fn new() -> Self {
        let mut host = Host::new(Kind::Gnu);
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "usr/sbin"] {
            std::fs::create_dir_all(host.path(&format!("fs/{folder}"))).expect("a folder");
        }
        host.write("fs/var/lib/dpkg/status", "");
        for version in ["1.0-1", "1.2-1"] {
            let tree = host.path(&format!("tree-{version}"));
            for folder in ["DEBIAN", "usr/sbin", "etc"] {
                std::fs::create_dir_all(format!("{tree}/{folder}")).expect("a folder");
            }
            let control = format!(
                "Package: sleepy\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
            );
            for (name, text, mode) in [
                ("DEBIAN/control", control.as_str(), 0o644),
                ("DEBIAN/conffiles", "/etc/sleepy.conf\n", 0o644),
                ("DEBIAN/postinst", AFTER, 0o755),
                ("usr/sbin/sleepy", version, 0o755),
                ("etc/sleepy.conf", version, 0o644),
            ] {
                let path = format!("{tree}/{name}");
                std::fs::write(&path, text).expect("written");
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            }
            let file = host.path(&format!("sleepy-{version}.deb"));
            let made = Command::new("dpkg-deb").args(["-b", &tree, &file]).output().expect("dpkg-deb is installed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let bytes = host.read(&format!("sleepy-{version}.deb"));
            host.here.files.insert(format!("sleepy-{version}.deb").into(), bytes);
        }
        Self { host }
    }

    fn bound(&self, version: &str, more: Value) -> PackageFile {
        let mut all = json!({
            "name": "sleepy", "version": version, "src": format!("sleepy-{version}.deb"), "state": "installed",
            "services": ["no-such-service-here"], "root": self.host.path("opt"),
        });
        for (key, value) in more.as_object().expect("a mapping") {
            all[key] = value.clone();
        }
        let Value::Object(map) = all else { panic!("a mapping") };
        let arguments = Arguments::check(&SPEC, map).expect("right");
        let mut package = PackageFile::of(&arguments, &self.host.here).expect("binds");
        package.prefix = self.host.path("fs");
        package
    }

    /// Does it, and gives the lines of what was done, or why not.
    fn done(&self, package: &PackageFile) -> Result<Vec<String>, String> {
        let change = self.host.plan(package).map_err(|failure| failure.message)?;
        let mut lines = Vec::new();
        for step in &change.steps {
            let Act::Script { script, stdin } = &step.act else { panic!("a script") };
            let output = self.host.run(script, stdin.as_ref());
            if output.status != 0 {
                return Err(output.err());
            }
            lines.push(step.summary.clone());
        }
        Ok(lines)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.host.read(name)).expect("text").trim().to_owned()
    }
}

#[test]
fn a_package_is_staged_then_installed_and_its_scripts_start_nothing() {
    let bench = Bench::new();
    let staged = bench.bound("1.0-1", json!({"state": "staged"}));
    assert_eq!(bench.done(&staged).expect("stages").len(), 1);
    assert!(!Path::new(&bench.host.path("fs/usr/sbin/sleepy")).exists(), "nothing is in force yet");
    let first = bench.bound("1.0-1", json!({}));
    assert_eq!(bench.done(&first).expect("installs"), ["install sleepy 1.0-1, and start nothing"]);
    assert_eq!(bench.text("fs/asked"), "no 101");
    assert_eq!(bench.text("fs/usr/sbin/sleepy"), "1.0-1");
    assert!(bench.host.names("fs/usr/sbin").iter().all(|name| name == "sleepy"), "policy-rc.d is gone again");
    assert_eq!(bench.done(&first), Ok(Vec::new()));
    // What was changed on the host stays; a policy of the host's own comes back.
    bench.host.write("fs/etc/sleepy.conf", "ours");
    bench.host.write("fs/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 104\n");
    let second = bench.bound("1.2-1", json!({}));
    let lines = bench.done(&second).expect("installs");
    assert_eq!(lines[1], "install sleepy 1.2-1 over 1.0-1, and start nothing");
    assert_eq!((bench.text("fs/asked").as_str(), bench.text("fs/etc/sleepy.conf").as_str()), ("no 101", "ours"));
    assert_eq!(bench.text("fs/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 104");
    assert_eq!(bench.done(&second), Ok(Vec::new()));
    let why = bench.done(&first).expect_err("older");
    assert!(why.contains("sleepy 1.2-1 is installed, which is newer than 1.0-1"), "{why}");
    bench.done(&bench.bound("1.0-1", json!({"downgrade": true}))).expect("goes back");
    assert_eq!(bench.text("fs/usr/sbin/sleepy"), "1.0-1");
}

#[test]
fn nothing_is_installed_while_a_service_of_it_runs() {
    let bench = Bench::new();
    let program = bench.host.path("sleepyd");
    std::fs::copy("/bin/sleep", &program).expect("a program");
    let mut running = Command::new(&program).arg("300").spawn().expect("runs");
    let package = bench.bound("1.0-1", json!({"services": ["sleepyd"]}));
    let why = bench.done(&package);
    // Between the look and the install it may have been started, too.
    let Act::Script { script, .. } = package.install("Z\n").expect("a step").expect("a step").act else {
        panic!("a script")
    };
    bench.done(&bench.bound("1.0-1", json!({"state": "staged"}))).expect("stages");
    let late = bench.host.run(&script, None);
    running.kill().expect("stops");
    running.wait().expect("ends");
    assert_eq!(
        why,
        Err("sleepyd runs: stop it first, a package is installed only while its services are stopped".to_owned())
    );
    assert!(late.status != 0 && late.err().starts_with("sleepyd runs"), "{}", late.err());
    assert!(!Path::new(&bench.host.path("fs/usr/sbin/sleepy")).exists());
    bench.done(&package).expect("installs once it is stopped");
}

#[test]
fn what_a_killed_install_left_holds_nothing_and_goes() {
    let bench = Bench::new();
    bench.host.write("fs/usr/sbin/policy-rc.d.before-stagger", "#!/bin/sh\nexit 104\n");
    // Of a shell that is no more: number 0 is no process.
    bench
        .host
        .write("fs/usr/sbin/policy-rc.d", "#!/bin/sh\n# stagger holds services while a package is installed\nexit 0\n");
    bench.done(&bench.bound("1.0-1", json!({}))).expect("installs");
    assert_eq!(bench.text("fs/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 104");
    assert!(!Path::new(&bench.host.path("fs/usr/sbin/policy-rc.d.before-stagger")).exists());
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let bench = Bench::new();
    let other = bench.bound("9.9", json!({"src": "sleepy-1.0-1.deb"}));
    let why = bench.done(&other).expect_err("another version");
    assert!(why.contains("is sleepy 1.0-1, not 9.9"), "{why}");
    let why = bench.done(&other).expect_err("another version");
    assert!(why.contains("is sleepy 1.0-1: write name and version as the file has them"), "{why}");
    let host = Host::new(KINDS[1]);
    let why = host.fails("package_file", json!({"name": "x", "version": "1", "src": "x.rpm"}));
    assert!(why.contains("is an RPM"), "{why}");
}

#[test]
fn a_host_without_dpkg_says_so() {
    let mut host = Host::new(Kind::Busybox);
    host.here.files.insert("x.deb".into(), b"x".to_vec());
    let all = json!({"name": "x", "version": "1", "src": "x.deb", "root": host.path("opt"), "state": "installed", "services": []});
    let said = host.fails("package_file", all);
    assert!(said.contains("no dpkg") || said.contains("dpkg"), "{said}");
}
