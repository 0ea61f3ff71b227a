//! The scripts on this machine, by each shell, in a folder of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration as Span, SystemTime};

use super::*;
use crate::transport::fixture::{SHELLS, begin, end};

const OURS: &str = "00000000010001";
const THEIRS: &str = "00000000020002";

fn lease(run: &str) -> Lease {
    Lease { run: run.to_owned(), operator: "ann@bastion".to_owned(), what: "up.yml 'x'\n$(id)".to_owned() }
}

fn said(shell: &[&str], script: &Script) -> String {
    answer(&end(begin(shell, script)))
}

/// A folder like `/var/tmp`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    folder
}

fn take(shell: &[&str], folder: &Path, run: &str) -> Taken {
    taken(&said(shell, &lease(run).take_script(folder.to_str().unwrap())))
}

fn held(taken: Taken) -> (PathBuf, bool, Vec<Found>) {
    match taken {
        Taken::Held { place, before, dead } => (PathBuf::from(place), before, dead),
        other => panic!("{other:?}"),
    }
}

fn other(taken: Taken) -> Found {
    match taken {
        Taken::Other(mut others) => others.remove(0),
        taken => panic!("{taken:?}"),
    }
}

/// Its last heartbeat was so many seconds ago.
fn age(place: &Path, seconds: i64) {
    let moment = match u64::try_from(seconds) {
        Ok(seconds) => SystemTime::now() - Span::from_secs(seconds),
        Err(_) => SystemTime::now() + Span::from_secs(seconds.unsigned_abs()),
    };
    fs::File::open(place).unwrap().set_modified(moment).unwrap();
}

fn own(shell: &[&str], place: &Path, run: &str, then: &'static str) -> Still {
    still(&said(shell, &lease(run).own_script(place.to_str().unwrap(), then)))
}

#[test]
fn a_lease_is_taken_found_again_told_and_given_back() {
    for shell in SHELLS {
        let folder = folder();
        let (place, before, dead) = held(take(shell, folder.path(), OURS));
        assert!(!before && dead.is_empty(), "{shell:?}");
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o755, "others can look");
        assert_eq!(held(take(shell, folder.path(), OURS)), (place.clone(), true, Vec::new()));
        let found = other(take(shell, folder.path(), THEIRS));
        assert_eq!((found.run.as_deref(), found.operator.as_str()), (Some(OURS), "ann@bastion"), "{shell:?}");
        assert_eq!((found.what.as_str(), found.account.as_str()), ("up.yml 'x' $(id)", "root"));
        assert!((0..60).contains(&found.beat) && (0..60).contains(&found.since.unwrap()), "{found:?}");
        age(&place, 500);
        assert_eq!(own(shell, &place, THEIRS, TOUCH), Still::Gone);
        assert_eq!(own(shell, &place, OURS, TOUCH), Still::Mine);
        assert!(other(take(shell, folder.path(), THEIRS)).beat < 60, "{shell:?}: that was a heartbeat");
        assert_eq!(own(shell, &place, THEIRS, REMOVE), Still::Gone);
        assert_eq!(own(shell, &place, OURS, REMOVE), Still::Mine);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(own(shell, &place, OURS, TOUCH), Still::Gone);
    }
}

#[test]
fn of_many_that_take_at_once_exactly_one_wins() {
    for shell in SHELLS {
        let folder = folder();
        let race = |from: u64| {
            let root = folder.path().to_str().unwrap();
            let runs: Vec<String> = (from..from + 12).map(|number| RunId::new(number, 1).to_string()).collect();
            let racers: Vec<_> = runs.iter().map(|run| begin(shell, &lease(run).take_script(root))).collect();
            let all: Vec<_> = racers.into_iter().map(|racer| taken(&answer(&end(racer)))).collect();
            let winners = all.iter().filter(|taken| matches!(taken, Taken::Held { .. })).count();
            let others = all.iter().filter(|taken| matches!(taken, Taken::Other(_))).count();
            assert_eq!((winners, others), (1, 11), "{shell:?}: {all:?}");
        };
        race(1);
        let place = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        age(&place, 700);
        race(100);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the dead one was removed");
    }
}

#[test]
fn a_dead_one_is_taken_over_and_who_comes_back_to_it_is_told() {
    for shell in SHELLS {
        let folder = folder();
        let (place, ..) = held(take(shell, folder.path(), THEIRS));
        age(&place, 599);
        other(take(shell, folder.path(), OURS));
        age(&place, 602);
        let (_, before, dead) = held(take(shell, folder.path(), OURS));
        assert!(!before);
        assert_eq!((dead[0].run.as_deref(), dead[0].kind), (Some(THEIRS), Kind::Dead), "{shell:?}");
        assert_eq!(own(shell, &place, THEIRS, TOUCH), Still::Gone);
        assert_eq!(other(take(shell, folder.path(), THEIRS)).run.as_deref(), Some(OURS));
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_lease_dead() {
    let folder = folder();
    let (place, ..) = held(take(SHELLS[0], folder.path(), THEIRS));
    age(&place, -86_400);
    let found = other(take(SHELLS[0], folder.path(), OURS));
    assert!(found.beat < -80_000, "{found:?}");
}

#[test]
fn what_another_account_put_there_is_named_and_neither_followed_nor_believed() {
    for shell in SHELLS {
        let folder = folder();
        let name = |number: u32| folder.path().join(format!(".stagger-lease.{number}"));
        // What is no folder is in nobody's way.
        fs::write(name(3), "x").unwrap();
        symlink("/etc", name(4)).unwrap();
        let (place, _, odd) = held(take(shell, folder.path(), OURS));
        assert_eq!(place, name(5));
        assert!(odd.len() == 2 && odd.iter().all(|found| found.kind == Kind::Odd), "{odd:?}");
        assert_eq!(own(shell, &place, OURS, REMOVE), Still::Mine);
        // A folder is, and the file system says whose it is. A link in it leads nowhere, and lines of others are not ours.
        let secret = folder.path().join("secret");
        fs::write(&secret, "root:hash").unwrap();
        fs::create_dir(name(7)).unwrap();
        symlink(&secret, name(7).join("lease")).unwrap();
        std::os::unix::fs::lchown(name(7), Some(65534), Some(65534)).unwrap();
        let found = other(take(shell, folder.path(), OURS));
        assert_eq!((found.account.as_str(), found.run.as_deref(), found.what.as_str()), ("nobody", None, ""));
        fs::remove_file(name(7).join("lease")).unwrap();
        let forged = format!("{THEIRS}\nx\u{1b}[2J\u{202e}y\nlease live /x 0 root 0\n1\ntaken {}\n", name(8).display());
        fs::write(name(7).join("lease"), &forged).unwrap();
        let Taken::Other(others) = take(shell, folder.path(), OURS) else { panic!() };
        assert_eq!(others.len(), 1, "{others:?}");
        assert_eq!((others[0].operator.as_str(), others[0].account.as_str()), ("x[2Jy", "nobody"));
        // Neither a number beyond all counting nor a file without end holds anybody up.
        fs::write(name(7).join("lease"), vec![b'x'; 3_000_000]).unwrap();
        assert_eq!(other(take(shell, folder.path(), OURS)).run, None);
        fs::remove_dir_all(name(7)).unwrap();
        fs::create_dir(folder.path().join(".stagger-lease.99999999999999999999")).unwrap();
        held(take(shell, folder.path(), OURS));
        fs::remove_dir_all(name(5)).unwrap();
        fs::create_dir(name(999_999)).unwrap();
        age(&name(999_999), 700);
        assert!(matches!(take(shell, folder.path(), OURS), Taken::Open(why) if why.contains("look who")));
    }
}

#[test]
fn a_dead_one_of_another_account_does_not_stand_in_the_way_of_who_may_not_remove_it() {
    let folder = folder();
    let (place, ..) = held(take(SHELLS[0], folder.path(), THEIRS));
    age(&place, 700);
    let script = lease(OURS).take_script(folder.path().to_str().unwrap());
    let unprivileged = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "dash"];
    let (mine, _, dead) = held(taken(&said(&unprivileged, &script)));
    assert!(place.exists() && mine != place && dead.len() == 1, "{dead:?}");
    assert_eq!(fs::metadata(&mine).unwrap().uid(), 4711);
    // It is alive for root as well, who removes the dead one and not this.
    assert_eq!(other(take(SHELLS[0], folder.path(), THEIRS)).run.as_deref(), Some(OURS));
    let root = folder.path().to_str().unwrap();
    let broken_by = |shell: &[&str]| broken(&end(begin(shell, &break_script(root, "ann@bastion", "dead"))));
    let by_another = ["setpriv", "--reuid=4712", "--regid=4712", "--clear-groups", "dash"];
    let refused = broken_by(&by_another);
    assert!(refused.len() == 2 && refused.iter().all(|one| one.trouble.is_some()), "{refused:?}");
    let all = broken_by(SHELLS[0]);
    assert!(all.len() == 2 && all.iter().all(|one| one.trouble.is_none()), "{all:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_can_not_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let unprivileged = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "dash"];
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = lease(OURS).take_script(folder.path().to_str().unwrap());
    assert!(matches!(taken(&said(&unprivileged, &script)), Taken::Open(why) if why.contains("Permission denied")));
    let nowhere = lease(OURS).take_script("/nonexistent /neither");
    assert!(matches!(taken(&said(SHELLS[2], &nowhere)), Taken::Open(why) if why.contains("/neither")));
    assert!(matches!(taken(&said(&["false"], &script)), Taken::Open(_)));
}
