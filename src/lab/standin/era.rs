//! The releases that there are stand-ins for. What differs between them is asked as `era >= Era::V0_14`.

/// A release, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Era {
    V0_11,
    V0_12,
    V0_13,
    V0_14,
    V0_15,
}

impl Era {
    /// The era of one of the versions of [`super::VERSIONS`]; of another one, the last.
    pub(crate) fn of(version: &str) -> Era {
        match version {
            "0.11.0" => Era::V0_11,
            "0.12.1" => Era::V0_12,
            "0.13.0" => Era::V0_13,
            "0.14.2" => Era::V0_14,
            _ => Era::V0_15,
        }
    }

    /// The recorded usage text of a daemon. Nobody recorded those of 0.11.0: they are 0.12.1's with the flags of its source.
    pub(crate) fn usage(self, program: &str) -> &'static str {
        let is_master = program == "mesos-master";
        match (self, is_master) {
            (Era::V0_11, true) => include_str!("usage/0.11.0-master.txt"),
            (Era::V0_11, false) => include_str!("usage/0.11.0-slave.txt"),
            (Era::V0_12, true) => include_str!("usage/0.12.1-master.txt"),
            (Era::V0_12, false) => include_str!("usage/0.12.1-slave.txt"),
            (Era::V0_13, true) => include_str!("usage/0.13.0-master.txt"),
            (Era::V0_13, false) => include_str!("usage/0.13.0-slave.txt"),
            (Era::V0_14, true) => include_str!("usage/0.14.2-master.txt"),
            (Era::V0_14, false) => include_str!("usage/0.14.2-slave.txt"),
            (Era::V0_15, true) => include_str!("usage/0.15.0-master.txt"),
            (Era::V0_15, false) => include_str!("usage/0.15.0-slave.txt"),
        }
    }

    /// When the release was built, as text and in Unix seconds: before 0.13 nothing else tells releases apart over HTTP.
    pub(crate) fn build(self) -> (&'static str, i64) {
        match self {
            Era::V0_11 => ("2013-05-28 15:55:41", 1_369_756_541),
            Era::V0_12 => ("2013-07-31 15:43:56", 1_375_285_436),
            Era::V0_13 => ("2013-09-01 15:38:22", 1_378_049_902),
            Era::V0_14 => ("2013-11-03 15:27:23", 1_383_492_443),
            Era::V0_15 => ("2013-11-25 15:14:38", 1_385_392_478),
        }
    }

    /// What `/vars` says, where there is such a page.
    pub(crate) fn vars(self, version: &str) -> Option<String> {
        let date = self.build().0;
        match self {
            Era::V0_11 | Era::V0_12 => Some(format!("build_date {date}\nbuild_user \nbuild_flags \n")),
            Era::V0_13 => Some(format!("version: {version}\nbuild_date: {date}\nbuild_user: \nbuild_flags: \n")),
            Era::V0_14 | Era::V0_15 => None,
        }
    }

    /// Significant digits of a number: 10 until 0.13, 15 later.
    pub(crate) fn digits(self) -> usize {
        if self < Era::V0_14 { 10 } else { 15 }
    }

    /// How a detector calls itself in the log.
    pub(crate) fn detector(self, pid: &str) -> String {
        // 0.11 leaves the pid out, and the second blank that later ones have after it.
        if self == Era::V0_11 { "Master detector".to_owned() } else { format!("Master detector ({pid}) ") }
    }
}
