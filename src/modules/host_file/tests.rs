use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use crate::base::Content;
use crate::modules::Act;
use crate::modules::local_host::{Host, KINDS, Kind, cut};

#[test]
fn copy_creates_replaces_and_keeps_attributes() {
    for kind in KINDS {
        let host = Host::new(kind);
        for name in ["plain", "with space", "it's \"quoted\"", "-dash", "new\nline", "*", "$HOME", "ümlaut"] {
            let path = host.path(name);
            // Ansible expands variables in paths, and so do we: a name with a dollar sign is out of reach.
            if name == "$HOME" {
                continue;
            }
            let result = host.changes_once("copy", json!({"content": "first", "dest": path}));
            assert_eq!(result["dest"], path);
            assert_eq!(result["mode"], "0644", "{result:?}");
            assert_eq!(result["size"], 5);
            assert_eq!(result["state"], "file");
            assert_eq!(result["md5sum"], "8b04d5e3775d298e78455efc5ca404d5");
            assert_eq!(host.read(name), b"first");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
            host.changes_once("copy", json!({"content": "second\n", "dest": path}));
            assert_eq!(host.read(name), b"second\n");
            assert_eq!(host.mode(name), 0o640, "the mode is kept");
        }
        assert!(host.names("").iter().all(|name| !name.contains("stagger")), "{:?}", host.names(""));
    }
}

#[test]
fn copy_to_a_directory_link_and_backup() {
    for kind in KINDS {
        let mut host = Host::new(kind);
        host.here.files.insert("a/file.bin".into(), vec![0, 159, 146, 150, 10, 13, 0]);
        std::fs::create_dir(host.path("d")).unwrap();
        let result = host.changes_once("copy", json!({"src": "a/file.bin", "dest": host.path("d")}));
        assert_eq!(result["dest"], host.path("d/file.bin"));
        assert_eq!(host.read("d/file.bin"), [0, 159, 146, 150, 10, 13, 0]);
        let made = host.changes_once(
            "copy",
            json!({"src": "a/file.bin", "dest": host.path("new/deep/"), "directory_mode": "0750", "mode": "u=rwx,go="}),
        );
        assert_eq!(made["dest"], host.path("new/deep/file.bin"));
        assert_eq!(host.mode("new/deep"), 0o750);
        assert_eq!(host.mode("new/deep/file.bin"), 0o700);
        let kept = host.changes_once("copy", json!({"content": "x", "dest": host.path("d/file.bin"), "backup": true}));
        let backup = kept["backup_file"].as_str().unwrap();
        assert!(backup.starts_with(&host.path("d/file.bin.")) && backup.ends_with('~'), "{backup}");
        assert_eq!(host.names("d").len(), 2);
        // A link is replaced, unless it is to be followed.
        host.write("real", "real");
        std::os::unix::fs::symlink("real", host.path("link")).unwrap();
        host.changes_once("copy", json!({"content": "new", "dest": host.path("link"), "follow": true}));
        assert_eq!(host.read("real"), b"new");
        host.changes_once("copy", json!({"content": "new", "dest": host.path("link")}));
        assert!(std::fs::symlink_metadata(host.path("link")).unwrap().is_file());
        let unforced =
            host.task("copy", json!({"content": "other", "dest": host.path("link"), "force": false})).unwrap();
        assert_eq!(unforced["changed"], false);
        assert!(host.fails("copy", json!({"content": "x", "dest": host.path("d")})).contains("dir as dest"));
        assert!(host.fails("copy", json!({"content": "x", "dest": host.path("no/where")})).contains("does not exist"));
        assert!(
            host.fails("copy", json!({"content": "x", "dest": host.path("z"), "owner": "nobody-here"}))
                .contains("chown")
        );
        assert!(!host.names("").contains(&"z".to_owned()));
        let validate = format!("grep -q good '%s' {}", "");
        assert!(
            host.fails("copy", json!({"content": "bad", "dest": host.path("real"), "validate": validate}))
                .contains("failed to validate")
        );
        assert_eq!(host.read("real"), b"new");
        host.changes_once("copy", json!({"content": "good", "dest": host.path("real"), "validate": validate}));
    }
}

#[test]
fn copy_of_a_directory_is_one_change() {
    for kind in KINDS {
        let mut host = Host::new(kind);
        let big: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
        for (name, content) in [
            ("t/a", b"one".to_vec()),
            ("t/b c", b"".to_vec()),
            ("t/d", b"no newline\0".to_vec()),
            ("t/big", big.clone()),
        ] {
            host.here.files.insert(name.into(), content);
        }
        host.changes_once("copy", json!({"src": "t/", "dest": host.path("to/here")}));
        assert_eq!(host.names("to/here"), ["a", "b c", "big", "d"]);
        assert_eq!(host.read("to/here/d"), b"no newline\0");
        assert_eq!(host.read("to/here/big"), big);
        host.changes_once("copy", json!({"src": "t", "dest": host.path("whole"), "mode": "0600"}));
        assert_eq!(host.names("whole/t").len(), 4);
        assert_eq!(host.mode("whole/t/b c"), 0o600);
    }
}

#[test]
fn copy_within_the_host() {
    for kind in KINDS {
        let host = Host::new(kind);
        host.write("from", "some text");
        let result =
            host.changes_once("copy", json!({"src": host.path("from"), "dest": host.path("to"), "remote_src": true}));
        assert_eq!(result["checksum"], "37aa63c77398d954473262e1a0057c1e632eda77");
        assert_eq!(host.read("to"), b"some text");
        assert!(
            host.fails("copy", json!({"src": host.path("none"), "dest": host.path("to"), "remote_src": true}))
                .contains("not found")
        );
    }
}

#[test]
fn a_cut_change_leaves_the_old_file_whole() {
    for kind in KINDS {
        for kill in [true, false] {
            let host = Host::new(kind);
            host.write("file", "old");
            let content = vec![b'x'; 300_000];
            let text = String::from_utf8(content.clone()).unwrap();
            let arguments = json!({"content": text, "dest": host.path("file")});
            let state = host.bind("copy", arguments.clone()).unwrap();
            let change = host.plan(state.as_ref()).unwrap();
            let Act::Script { script, stdin: Some(Content::Bytes(_)) } = &change.steps[0].act else {
                panic!("a script")
            };
            let status = cut(&host, script, &content, kill);
            assert_ne!(status, Some(0));
            assert_eq!(host.read("file"), b"old");
            host.changes_once("copy", arguments);
            assert_eq!(host.read("file"), content);
            assert_eq!(host.names(""), ["file"], "the next run removes what the cut one left");
        }
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    // A folder of 64 KiB: a tmpfs in a mount namespace of its own.
    for kind in [Kind::Gnu, Kind::Busybox] {
        let host = Host::new(kind);
        let state =
            host.bind("copy", json!({"content": "y".repeat(200_000), "dest": host.path("small/file")})).unwrap();
        std::fs::create_dir(host.path("small")).unwrap();
        host.write("small/file", "old");
        let change = host.plan(state.as_ref()).unwrap();
        let Act::Script { script, stdin: Some(content) } = &change.steps[0].act else { panic!("a script") };
        let wrapped = crate::base::Script::new()
            .set("inner", script.as_str())
            .set("folder", &host.path("small"))
            .line("unshare -m sh -c 'mount -t tmpfs -o size=64k none \"$1\" || exit 99; echo old >\"$1/file\"; sh -c \"$2\"; rc=$?; cat \"$1/file\"; ls -A \"$1\"; exit $rc' sh \"$folder\" \"$inner\"");
        let output = host.run(&wrapped, Some(content));
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.err().contains("No space left on device"), "{}", output.err());
        assert_eq!(output.out(), "old\nfile\n", "{}", output.err());
    }
}

#[test]
fn owners_and_groups_are_changed_by_name_and_number() {
    for kind in KINDS {
        let host = Host::new(kind);
        let result =
            host.changes_once("copy", json!({"content": "x", "dest": host.path("f"), "owner": "daemon", "group": "1"}));
        assert_eq!((result["owner"].as_str(), result["gid"].as_u64()), (Some("daemon"), Some(1)));
        let metadata = std::fs::metadata(host.path("f")).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1, 1));
        host.changes_once("copy", json!({"content": "y", "dest": host.path("f")}));
        assert_eq!(std::fs::metadata(host.path("f")).unwrap().uid(), 1, "the owner is kept");
        host.changes_once("copy", json!({"content": "y", "dest": host.path("f"), "owner": 0, "mode": "4755"}));
        assert_eq!(host.mode("f"), 0o4755);
        host.changes_once("copy", json!({"content": "y", "dest": host.path("f"), "owner": "bin", "mode": "4755"}));
        assert_eq!(host.mode("f"), 0o4755, "chown takes the set-id bit away, so it is set after it");
    }
}
