//! Modules that change what only root may: accounts, packages, tables of the system, on both kinds of host over real SSH:
//! previewed, done, done again. The cases are `tests/modules_on_hosts/system.yml`.
//!
//! Debian's busybox has no `adduser` and its kin: scripts stand in for them, with the same options and files.

use std::path::Path;

use crate::lab::Lab;
use crate::modules::{HOSTS, all, play};

const SEEN: &str = "    debian: {ansible_host: NET.1}\n    busybox: {ansible_host: NET.2}\n";

/// What is on both hosts beforehand.
const PREPARE: &str = "set -e
addgroup5() { echo \"$1:x:$2:$3\" >>/etc/group; }
account5() { echo \"$1:x:$2:$2::/srv/$1:/bin/sh\" >>/etc/passwd; echo \"$1:!:19000:0:99999:7:::\" >>/etc/shadow; }
addgroup5 users5 5100 ''; addgroup5 others5 5101 other,member
for one in 'member 5111' 'other 5112' 'homeless 5113' 'goner 5114'; do set -- $one; account5 $1 $2; addgroup5 $1 $2 ''; done
for name in member other goner; do mkdir -p /srv/$name; chown $name /srv/$name; done";

/// What the accounts came to: the lines of the files, without the numbers that a host chooses.
const ACCOUNTS: &str = "grep -E '^(keeper|member|other|homeless|goner)' /etc/passwd | grep -v ^keeperd | sort
grep -E '^(keepers|users5|others5)' /etc/group | sort
grep -E '^keeperd:' /etc/passwd | cut -d: -f6,7
grep -E '^keeper:' /etc/shadow | cut -d: -f1,2
for home in /srv/*; do echo $home $(stat -c %u $home); done";

const DIGEST: &str = "for f in /srv /etc /root /opt /home /usr/local /var/lib /var/spool; do find $f -exec stat -c '%n %f %u %g %s %Y' {} +; \
     find $f -type f -exec sha1sum {} +; done 2>/dev/null | sort | sha1sum";

struct Bench {
    lab: Lab,
    here: tempfile::TempDir,
}

impl Bench {
    fn up(number: u32) -> Self {
        let lab = Lab::up(number, "1", HOSTS);
        let here = tempfile::tempdir().expect("a folder");
        std::fs::write(here.path().join("hosts.yml"), lab.as_seen("", SEEN)).expect("an inventory");
        let stand_in = std::fs::read_to_string(folder().join("accounts.sh")).expect("the stand-in");
        let install = format!(
            "cat >/sbin/adduser <<'END'\n{stand_in}END\nchmod 755 /sbin/adduser\n\
             for name in addgroup deluser delgroup chpasswd; do ln -s adduser /sbin/$name; done"
        );
        lab.run("b1", &install);
        for host in ["d1", "b1"] {
            lab.run(host, PREPARE);
        }
        Bench { lab, here }
    }

    fn on_both(&self, script: &str) -> [String; 2] {
        ["d1", "b1"].map(|host| self.lab.run(host, script))
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules_on_hosts")
}

#[test]
fn what_only_root_may_change_is_previewed_done_and_not_done_again() {
    let bench = Bench::up(16);
    let run = |words: &[&str]| play(bench.here.path(), &folder().join("system.yml"), words);
    let before = bench.on_both(DIGEST);
    let (code, previewed) = run(&["--check", "--diff"]);
    all(&previewed, &["changed"]);
    assert_eq!((code, bench.on_both(DIGEST)), (0, before), "a preview changes nothing");
    let (code, done) = run(&["--diff"]);
    all(&done, &["changed"]);
    assert_eq!(code, 0);
    for (place, (_, steps, _)) in &previewed {
        assert_eq!(steps, &done[place].1, "{place:?}: as the preview said");
    }
    let [debian, busybox] = bench.on_both(ACCOUNTS);
    assert_eq!(debian, busybox, "both kinds of host end alike");
    assert!(debian.contains("keeper:x:5078:5100:Keeps:/srv/keeper:/bin/sh\n"), "{debian}");
    assert!(debian.contains("keepers:x:5077:keeper\n") && debian.contains("keeper:$6$salt$hash\n"), "{debian}");
    assert!(debian.contains("others5:x:5101:member\nusers5:x:5100:member,other\n"), "{debian}");
    assert!(debian.contains("/srv/homeless 5113\n") && !debian.contains("goner"), "{debian}");
    let after = bench.on_both(DIGEST);
    let (code, again) = run(&["--diff"]);
    all(&again, &["ok"]);
    assert_eq!((code, bench.on_both(DIGEST)), (0, after), "the second time changes nothing");
}
