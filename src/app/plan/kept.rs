//! A saved plan in the words of the run that keeps to it.

use crate::report::PlanTree;
use crate::run::{Planned, Tasks};

/// What may be done on which host.
pub(super) fn planned(tree: &PlanTree) -> Planned {
    let mut planned = Planned::default();
    for phase in &tree.phases {
        for group in &phase.groups {
            let mut tasks = Tasks::default();
            for deed in &group.tasks {
                let told = |steps: &[crate::report::PlanStep]| {
                    let told = steps.iter().map(|step| (step.summary.clone(), step.digest.clone()));
                    told.collect::<Vec<_>>().into_iter()
                };
                if deed.items.is_empty() {
                    tasks.add(&deed.place, deed.pass, None, !deed.is_unknown(), told(&deed.steps));
                }
                for item in &deed.items {
                    let known = item.status != crate::event::Status::Unpredictable;
                    tasks.add(&deed.place, deed.pass, Some(item.index), known, told(&item.steps));
                }
            }
            planned.add(phase.play, &group.hosts, tasks);
        }
    }
    planned
}
