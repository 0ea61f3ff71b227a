//! `fail`: fails with a message.

use super::{Arguments, Bound, Controller, Course, Done, Failure, ModuleSpec, Opt, OptKind};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "fail",
    aliases: &[],
    summary: "fails with a message",
    options: &[Opt::new("msg", OptKind::Text, "what to say").default("Failed as requested from task")],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Fail {
    message: String,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Course(Box::new(Fail { message: arguments.required("msg") })))
}

impl Course for Fail {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        Err(Failure::new(self.message.clone()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    #[test]
    fn it_fails_with_its_message() {
        let failed = |arguments| course(&SPEC, arguments, &Fixture::default()).expect_err("fails").message;
        assert_eq!(failed(json!({"msg": "no quorum"})), "no quorum");
        assert_eq!(failed(json!({})), "Failed as requested from task");
    }
}
