//! The deploy scripts' `mesos-daemon.sh`. Up to 0.13.0 it passes `--conf=…`, which 0.13 dies on; from 0.14 on it reads the flags of
//! `mesos-master-env.sh` or `mesos-slave-env.sh`, as variables, instead.

use std::ops::Range;

/// The script as 0.13 needs it: it reads a daemon's environment file where there is one, and passes `--conf` to a daemon that has none
/// yet (0.12, on a host that it shares with one that was upgraded). `None` when it is so already.
///
/// # Errors
/// It is not the script that was shipped: what to change by hand.
pub(super) fn mended(text: &str, path: &str, deploy: &str) -> Result<Option<String>, String> {
    let folder = deploy.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let by_hand = |what: String| {
        format!(
            "{path} {what}: let it read {folder}/PROGRAM-env.sh and start PROGRAM without --conf, as the one of 0.14 does"
        )
    };
    let mut places = conf_words(text);
    let (Some((line, word)), None) = (places.next(), places.next()) else {
        return match (conf_words(text).next(), text.contains("-env.sh")) {
            (None, true) => Ok(None),
            (None, false) => Err(by_hand("reads no file of flags".to_owned())),
            (Some(_), _) => Err(by_hand("passes --conf at several places".to_owned())),
        };
    };
    let given = text.get(word.clone()).unwrap_or_default();
    // What this very function has written.
    if text.contains(MARK) {
        return Ok(None);
    }
    if !text.lines().any(|line| line.trim_start().starts_with("PROGRAM=")) {
        return Err(by_hand("is not the script that came with Mesos".to_owned()));
    }
    let before = text.get(..line.start).unwrap_or_default();
    let (start, end) = (text.get(line.start..word.start), text.get(word.end..));
    Ok(Some(format!(
        "{before}{MARK}\n{CHOICE}={given}\nif [ -f \"{folder}/${{PROGRAM}}-env.sh\" ]; then\n  . \"{folder}/${{PROGRAM}}-env.sh\"\n  \
         {CHOICE}=\nfi\n{}${{{CHOICE}}}{}",
        start.unwrap_or_default(),
        end.unwrap_or_default()
    )))
}

const MARK: &str =
    "# Mesos 0.13 dies on --conf: its flags are in an environment file. mesos.conf is for a daemon that has none yet.";
const CHOICE: &str = "old_conf";

/// Words `--conf=…` outside of comments: the line's bytes and the word's.
fn conf_words(text: &str) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let at = start;
        start += line.len();
        let found = line.find("--conf=").filter(|_| !line.trim_start().starts_with('#'))?;
        let rest = line.get(found..).unwrap_or_default();
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        Some((at..at + line.len(), at + found..at + found + length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SHIPPED: &str = "#!/usr/bin/env bash\n\nPROGRAM=${1}\n\nshift\n\nnohup SBIN/${PROGRAM} --conf=ROOT/conf ${@} >/dev/null 2>&1 &\n";

    #[test]
    fn the_mended_script_reads_the_environment_file_of_a_daemon_that_has_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display().to_string();
        // In the foreground and with its output, so that it can be seen.
        let shipped = SHIPPED.replace("SBIN", &root).replace("ROOT", &root);
        let shipped = shipped.replace(" >/dev/null 2>&1 &", "").replace("#!/usr/bin/env bash", "#!/bin/sh");
        let deploy = format!("{root}/deploy/mesos-slave-env.sh");
        let mended = mended(&shipped, "/sbin/mesos-daemon.sh", &deploy).expect("mended").expect("changed");
        std::fs::create_dir(format!("{root}/deploy")).expect("a folder");
        std::fs::write(&deploy, "export MESOS_master=h:5050\n").expect("a file");
        for program in ["mesos-master", "mesos-slave"] {
            std::fs::write(format!("{root}/{program}"), "#!/bin/sh\necho \"${MESOS_master:-none} $*\"\n")
                .expect("a file");
            Command::new("chmod").args(["+x", &format!("{root}/{program}")]).status().expect("runs");
        }
        for shell in [&["sh"][..], &["busybox", "sh"]] {
            let run = |program: &str| {
                let words = [&shell[1..], &["-c", &mended, "mesos-daemon.sh", program, "--quiet"]].concat();
                let done = Command::new(shell[0]).args(words).output().expect("a shell");
                String::from_utf8_lossy(&done.stdout).into_owned()
            };
            assert_eq!(run("mesos-slave"), "h:5050 --quiet\n");
            assert_eq!(run("mesos-master"), format!("none --conf={root}/conf --quiet\n"));
        }
        assert_eq!(super::mended(&mended, "/sbin/mesos-daemon.sh", &deploy), Ok(None), "once is enough");
    }

    #[test]
    fn a_script_of_somebodys_own_is_left_to_him() {
        let told = |text: &str| mended(text, "/sbin/mesos-daemon.sh", "/d/mesos-slave-env.sh").expect_err("refused");
        assert!(told("exec mesos-slave --conf=/c\n").contains("is not the script that came with Mesos"));
        assert!(told("PROGRAM=$1\na --conf=/c\nb --conf=/c\n").contains("several places"));
        assert!(
            told("# --conf=/c\nexec mesos-slave\n").contains("reads no file of flags: let it read /d/PROGRAM-env.sh")
        );
        assert_eq!(mended(". /d/${PROGRAM}-env.sh\nnohup $PROGRAM &\n", "/s", "/d/x"), Ok(None));
    }
}
