use super::*;
use crate::modules::local_host::{Host, KINDS, Kind as Kind2};
use serde_json::json;

fn packed(host: &mut Host, name: &str, words: &[&str]) {
    let output = std::process::Command::new("tar").current_dir(host.folder()).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    host.here.files.insert(name.into(), output.stdout);
}

#[test]
fn an_archive_is_unpacked_once_and_mended() {
    for kind in KINDS {
        let mut host = Host::new(kind);
        std::fs::create_dir_all(host.path("in/d/deep er")).unwrap();
        std::fs::create_dir_all(host.path("out")).unwrap();
        std::fs::create_dir_all(host.path("flat")).unwrap();
        host.write("in/d/one", "1");
        host.write(&format!("in/d/{}", "long".repeat(40)), "x");
        host.write("in/d/deep er/it's", "22");
        std::os::unix::fs::symlink("one", host.path("in/d/link")).unwrap();
        for (name, words) in [("a.tar", ["-cf", "-", "-C", "in", "d"]), ("a.tgz", ["-czf", "-", "-C", "in", "d"])] {
            packed(&mut host, name, &words);
            let arguments = json!({"src": name, "dest": host.path("out"), "list_files": true});
            let result = host.changes_once("unarchive", arguments.clone());
            assert_eq!(result["files"].as_array().unwrap().len(), 6);
            assert_eq!(host.read("out/d/deep er/it's"), b"22");
            host.write("out/d/one", "changed");
            host.changes_once("unarchive", arguments);
            assert_eq!((host.read("out/d/one"), host.names("out")), (b"1".to_vec(), vec!["d".to_owned()]));
            std::fs::remove_dir_all(host.path("out/d")).unwrap();
        }
        let strip = json!({"src": "a.tgz", "dest": host.path("flat"), "extra_opts": ["--strip-components=1"],
                           "exclude": ["deep er"], "owner": "daemon", "mode": "u=rwX,go="});
        host.changes_once("unarchive", strip);
        assert_eq!(host.names("flat").len(), 3);
        assert_eq!(host.mode("flat/one"), 0o600);
        let created = json!({"src": "a.tgz", "dest": host.path("out"), "creates": host.path("fl*")});
        assert_eq!(host.task("unarchive", created).unwrap()["changed"], false);
        assert!(host.fails("unarchive", json!({"src": "a.tgz", "dest": host.path("none")})).contains("existing dir"));
    }
}

/// Shell words that pack what is in `in` into `out`, by the machine's own programs.
const PACKERS: &[(&str, &str)] = &[
    ("a.tar", "tar -cf - -C in d"),
    ("a.tar.gz", "tar -czf - -C in d"),
    ("a.tar.bz2", "tar -cjf - -C in d"),
    ("a.tar.xz", "tar -cJf - -C in d"),
    ("a.tar.zst", "tar --zstd -cf - -C in d"),
    ("a.zip", "rm -f z.zip; cd in && zip -qry ../z.zip d && cat ../z.zip"),
];

fn pack(host: &Host, command: &str) -> Vec<u8> {
    let output = std::process::Command::new("sh").current_dir(host.folder()).args(["-c", command]).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{command}: {output:?}");
    output.stdout
}

fn fill(host: &Host) {
    std::fs::create_dir_all(host.path("in/d/deep er")).unwrap();
    std::fs::create_dir_all(host.path("out")).unwrap();
    host.write("in/d/one", "1");
    host.write(&format!("in/d/{}", "long".repeat(40)), "x");
    host.write("in/d/deep er/it's", "22");
    std::os::unix::fs::symlink("one", host.path("in/d/link")).unwrap();
}

#[test]
fn every_format_of_here_and_of_the_host_is_unpacked_once_and_mended() {
    for kind in KINDS {
        for (name, command) in PACKERS {
            let mut host = Host::new(kind);
            fill(&host);
            let archive = pack(&host, command);
            host.write(name, &archive);
            host.here.files.insert((*name).into(), archive);
            for (source, remote) in [((*name).to_owned(), false), (host.path(name), true)] {
                let arguments =
                    json!({"src": source, "dest": host.path("out"), "remote_src": remote, "list_files": true});
                if remote && *name == "a.tar.zst" && kind == Kind2::Busybox {
                    let failed = host.fails("unarchive", arguments);
                    assert!(failed.contains("the host has no `zstd`"), "{failed}");
                    continue;
                }
                let result = host.changes_once("unarchive", arguments.clone());
                assert_eq!(result["files"].as_array().unwrap().len(), 6, "{name}");
                let handler = result["handler"].as_str().unwrap();
                assert_eq!(handler == "ZipArchive", name.ends_with("zip"), "{name}: {handler}");
                assert_eq!(host.read("out/d/deep er/it's"), b"22");
                assert_eq!(std::fs::read_link(host.path("out/d/link")).unwrap().to_str(), Some("one"), "{name}");
                host.write("out/d/one", "changed");
                host.changes_once("unarchive", arguments);
                assert_eq!(
                    (host.read("out/d/one"), host.names("out")),
                    (b"1".to_vec(), vec!["d".to_owned()]),
                    "{name}"
                );
                std::fs::remove_dir_all(host.path("out/d")).unwrap();
            }
        }
    }
}

#[test]
fn an_archive_on_the_host_is_unpacked_in_part_with_attributes_and_strip() {
    for kind in KINDS {
        let host = Host::new(kind);
        fill(&host);
        host.write("a.tgz", pack(&host, "tar -czf - -C in ./d"));
        host.write("a.zip", pack(&host, "rm -f z.zip; cd in && zip -qry ../z.zip d && cat ../z.zip"));
        let strip = json!({"src": host.path("a.tgz"), "dest": host.path("out"), "copy": false, "owner": "daemon",
                           "extra_opts": ["--strip-components=2"], "exclude": ["deep er"], "mode": "u=rwX,go="});
        host.changes_once("unarchive", strip);
        assert_eq!((host.names("out").len(), host.mode("out/one")), (3, 0o600));
        let only =
            json!({"src": host.path("a.zip"), "dest": host.path("out"), "remote_src": true, "include": ["d/one"]});
        host.changes_once("unarchive", only);
        assert_eq!(host.names("out/d"), ["one"]);
        let words =
            json!({"src": host.path("a.zip"), "dest": host.path("out"), "remote_src": true, "extra_opts": ["-x"]});
        assert!(host.fails("unarchive", words).contains("is for tar"));
        let none =
            host.fails("unarchive", json!({"src": host.path("none"), "dest": host.path("out"), "remote_src": true}));
        assert!(none.ends_with("does not exist"), "{none}");
        host.write("rubbish.tgz", b"\x1f\x8brubbish");
        let rubbish = json!({"src": host.path("rubbish.tgz"), "dest": host.path("out"), "remote_src": true});
        assert!(host.fails("unarchive", rubbish).contains("can't be read on the host"));
    }
}

/// An attacker's archives: what they aim at stays as it is, wherever they lie.
#[test]
fn no_archive_writes_outside_of_its_directory() {
    for kind in KINDS {
        let mut host = Host::new(kind);
        for folder in ["in/d", "out", "aim"] {
            std::fs::create_dir_all(host.path(folder)).unwrap();
        }
        host.write("aim/file", "untouched");
        std::os::unix::fs::symlink("../aim", host.path("in/link")).unwrap();
        host.write("in/plain", "x");
        std::fs::create_dir_all(host.path("real/link")).unwrap();
        host.write("real/link/file", "stolen");
        let absolute = format!("tar -cPf - {}", host.path("real/link/file"));
        for (name, command) in [
            ("up.tar", "tar -cf - -C in --transform 's,plain,../aim/file,' plain"),
            ("absolute.tar", absolute.as_str()),
            ("link.tar", "tar -cf - -C in link"),
            ("link.zip", "rm -f z.zip; cd in && zip -qy ../z.zip link && cat ../z.zip"),
            ("through.tar", "tar -cf both -C in link && tar -rf both -C real link/file && cat both"),
        ] {
            let archive = pack(&host, command);
            host.write(name, &archive);
            host.here.files.insert(name.into(), archive);
            let dest = host.path("out");
            let try_it = |arguments: Value| {
                // Where the host's tar names a member without what leads out of the directory, it stays in it.
                if let Err(failure) = host.bind("unarchive", arguments.clone()) {
                    return failure.message;
                }
                host.task("unarchive", arguments).map_or_else(|failure| failure.message, |_| "done".to_owned())
            };
            let here = try_it(json!({"src": name, "dest": dest}));
            assert!(here.contains("refusing the archive"), "{kind:?}: {name}: {here}");
            let there = try_it(json!({"src": host.path(name), "dest": dest, "remote_src": true}));
            assert!(there.contains("refusing") || kind == Kind2::Busybox, "{kind:?}: {name}: {there}");
            assert_eq!(
                (host.read("aim/file"), host.names("aim")),
                (b"untouched".to_vec(), vec!["file".to_owned()]),
                "{name}"
            );
        }
        // A link that someone put on the host.
        std::os::unix::fs::symlink("../aim", host.path("out/d")).unwrap();
        host.write("in/d/file", "stolen");
        let archive = pack(&host, "tar -cf - -C in d/file");
        host.write("below.tar", &archive);
        host.here.files.insert("below.tar".into(), archive);
        for (source, remote) in [("below.tar".to_owned(), false), (host.path("below.tar"), true)] {
            let failed =
                host.fails("unarchive", json!({"src": source, "dest": host.path("out"), "remote_src": remote}));
            assert!(failed.contains("is a link on the host"), "{failed}");
        }
        assert_eq!(host.read("aim/file"), b"untouched");
    }
}
