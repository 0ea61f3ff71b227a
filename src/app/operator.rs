//! Who sits at the keyboard.

/// `user@machine`: who asks, for those who read it later.
pub(super) fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let variable = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    // Who became root is who is asked what happened here.
    let user = variable("SUDO_USER").or_else(|| login_name(uid)).or_else(|| variable("USER"));
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{node}", user.unwrap_or_else(|| format!("uid {uid}")))
}

/// The name that the user database of files has for a user id.
fn login_name(uid: u32) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the user database")]
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id == uid.to_string()).then(|| name.to_owned())
    })
}
