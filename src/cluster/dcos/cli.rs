//! What the `dcos` command says, as the answer that it had itself: its words changed with its versions, and it prints its
//! complaints to either stream.

use super::heard::Heard;

/// The content type of what the command printed.
pub(crate) const PRINTED: &str = "text/x-dcos-cli";

/// How a command ended, told as an answer over HTTP; `None` when its words say nothing that is known.
pub(crate) fn cli_answer<'a>(status: i32, out: &'a [u8], err: &'a [u8], command: bool) -> Option<Heard<'a>> {
    let text = format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let code = |status| Some(Heard { status, kind: PRINTED, body: if out.is_empty() { err } else { out } });
    if has(&["already been issued", "already been reported"]) {
        return code(208);
    }
    if has(&["401 Unauthorized", "dcos auth login", "Authentication failed"]) {
        return code(401);
    }
    if has(&["Could not reach the service scheduler", "502 Bad Gateway", "503 Service"]) {
        return code(503);
    }
    let missing = ["does not exist", "not found", "No such", "is not installed"];
    match status {
        0 if command => Some(Heard { status: 200, kind: PRINTED, body: br#"{"message": "the command succeeded"}"# }),
        0 => Some(Heard { status: 200, kind: PRINTED, body: out }),
        _ if has(&missing) => Some(Heard { status: 404, kind: "text/plain", body: b"what was named is not found" }),
        _ => None,
    }
}
