//! What of a step's summary is the same whenever it is done.

/// The text without the numbers of processes that it names for people (` (process 680)`): a plan has others.
pub(crate) fn without_processes(text: &str) -> String {
    const BEGIN: &str = " (process ";
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        kept.push_str(before);
        match after.split_once(')') {
            Some((number, after)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                rest = after
            }
            _ => {
                kept.push_str(BEGIN);
                rest = after;
            }
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::without_processes;

    #[test]
    fn only_numbers_of_processes_are_left_out() {
        assert_eq!(without_processes("stop mesos-master (process 680)"), "stop mesos-master");
        assert_eq!(without_processes("a (process 1) b (process 22), c"), "a b, c");
        assert_eq!(without_processes("kill (process x) (process 3"), "kill (process x) (process 3");
        assert_eq!(without_processes("write /a (4 bytes)"), "write /a (4 bytes)");
    }
}
