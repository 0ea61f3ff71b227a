//! The data of a plan, and what a plan, a phase and a step say of themselves.

use std::time::Instant;

use super::packages::Era;

/// What a step holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Pending,
    Prepared,
    Starting,
    Started,
    Complete,
}

/// What is shown of a step, a phase or a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Error,
    Waiting,
    Pending,
    Prepared,
    Starting,
    Started,
    Complete,
    InProgress,
}

impl Shown {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Waiting => "WAITING",
            Self::Pending => "PENDING",
            Self::Prepared => "PREPARED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Complete => "COMPLETE",
            Self::InProgress => "IN_PROGRESS",
        }
    }

    /// What `continue` takes for "given before".
    pub(super) fn runs(self) -> bool {
        matches!(self, Self::Prepared | Self::Starting | Self::Started | Self::InProgress)
    }
}

/// How a phase takes its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Serial,
    Parallel,
    SerialCanary,
    ParallelCanary,
    Safe,
}

impl Strategy {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "serial" => Self::Serial,
            "parallel" => Self::Parallel,
            "serial-canary" | "canary" => Self::SerialCanary,
            "parallel-canary" => Self::ParallelCanary,
            "safe" => Self::Safe,
            _ => return None,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
            Self::SerialCanary => "serial-canary",
            Self::ParallelCanary => "parallel-canary",
            Self::Safe => "safe",
        }
    }

    /// How many steps it holds by their own marks; `None`: all.
    fn marks(self) -> Option<usize> {
        match self {
            Self::Serial | Self::Parallel => Some(0),
            Self::SerialCanary | Self::ParallelCanary => Some(2),
            Self::Safe => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: String,
    /// `data-0`.
    pub(super) pod: String,
    pub(super) held: Held,
    /// Held by its own mark.
    pub(super) marked: bool,
    /// Since when it is so.
    pub(super) since: Instant,
    /// Its offers were refused for a long time: it is not launched any more.
    pub(super) declined: bool,
}

impl Step {
    pub(super) fn shown(&self, era: Era) -> Shown {
        match self.held {
            Held::Pending | Held::Prepared if self.marked => Shown::Waiting,
            Held::Pending => Shown::Pending,
            Held::Prepared => Shown::Prepared,
            Held::Started if era == Era::Guide => Shown::Starting,
            Held::Starting => Shown::Starting,
            Held::Started => Shown::Started,
            Held::Complete => Shown::Complete,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Phase {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) strategy: Strategy,
    pub(super) interrupted: bool,
    pub(super) steps: Vec<Step>,
    /// The steps that were incomplete when the order was first asked for: only they have one.
    pub(super) order: Option<Vec<usize>>,
}

impl Phase {
    pub(super) fn new(id: String, name: String, strategy: Strategy, steps: Vec<Step>) -> Self {
        let mut phase = Self { id, name, strategy, interrupted: false, steps, order: None };
        let pending = phase.steps.iter_mut().filter(|step| step.held == Held::Pending);
        pending.take(strategy.marks().unwrap_or(usize::MAX)).for_each(|step| step.marked = true);
        phase
    }

    /// Whether it is still in the part that its own marks hold.
    pub(super) fn is_marked(&self) -> bool {
        self.steps.iter().any(|step| step.marked)
    }

    /// The steps that may be worked at.
    pub(super) fn candidates(&mut self) -> Vec<usize> {
        let order = self
            .order
            .get_or_insert_with(|| (0..self.steps.len()).filter(|at| self.steps[*at].held != Held::Complete).collect())
            .clone();
        let incomplete = |at: &usize| self.steps[*at].held != Held::Complete;
        if self.is_marked() {
            // What is released, in no order; behind the marks nothing is reached.
            let first = self.steps.iter().position(|step| step.marked).unwrap_or(0);
            return (0..first).filter(incomplete).collect();
        }
        // A step that was done when the order was made has none when it is restarted.
        let loose = (0..self.steps.len()).filter(|at| !order.contains(at)).filter(incomplete);
        match self.strategy {
            Strategy::Parallel | Strategy::ParallelCanary => (0..self.steps.len()).filter(incomplete).collect(),
            _ => order.iter().copied().find(incomplete).into_iter().chain(loose).collect(),
        }
    }

    pub(super) fn shown(&self, era: Era) -> Shown {
        let children: Vec<Shown> = self.steps.iter().map(|step| step.shown(era)).collect();
        let chosen = self.clone().candidates();
        let candidates: Vec<Shown> =
            if self.interrupted { Vec::new() } else { chosen.iter().map(|at| children[*at]).collect() };
        sum(&children, &candidates, self.interrupted, false)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) parallel: bool,
    pub(super) interrupted: bool,
    pub(super) phases: Vec<Phase>,
    pub(super) errors: Vec<String>,
}

impl Plan {
    /// The phases that may be worked at.
    pub(super) fn candidates(&self, era: Era) -> Vec<usize> {
        if self.interrupted {
            return Vec::new();
        }
        let open = (0..self.phases.len()).filter(|at| self.phases[*at].shown(era) != Shown::Complete);
        let open: Vec<usize> = if self.parallel { open.collect() } else { open.take(1).collect() };
        open.into_iter().filter(|at| !self.phases[*at].interrupted).collect()
    }

    pub(super) fn shown(&self, era: Era) -> Shown {
        let children: Vec<Shown> = self.phases.iter().map(|phase| phase.shown(era)).collect();
        let candidates: Vec<Shown> = self.candidates(era).iter().map(|at| children[*at]).collect();
        sum(&children, &candidates, self.interrupted, !self.errors.is_empty())
    }
}

/// The status of a whole, by those of its parts and of the parts that may be worked at; the first rule that fits.
pub(super) fn sum(children: &[Shown], candidates: &[Shown], interrupted: bool, errors: bool) -> Shown {
    use Shown::{Complete, Error, InProgress, Pending, Prepared, Started, Starting, Waiting};
    let any = |list: &[Shown], what: Shown| list.contains(&what);
    if errors || any(children, Error) {
        Error
    } else if children.iter().all(|child| *child == Complete) {
        Complete
    } else if interrupted {
        Waiting
    } else if any(children, Prepared) {
        InProgress
    } else if any(candidates, Waiting) {
        Waiting
    } else if any(candidates, InProgress)
        || any(children, Complete) && candidates.iter().any(|one| matches!(one, Pending | Starting | Started))
    {
        InProgress
    } else if any(candidates, Pending) {
        Pending
    } else if any(children, Waiting) {
        Waiting
    } else if any(candidates, Starting) {
        Starting
    } else if any(candidates, Started) {
        Started
    } else {
        Error
    }
}
