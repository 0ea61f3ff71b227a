//! What holds for one login: the target's variables, then its `-o` arguments, then `~/.ssh/config`, then the system's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::algorithms::Lists;
use super::ssh_config::{self, Files, Found, Query};
use super::{Options, Target};

/// How new host keys are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKeys {
    /// Only known keys.
    Strict,
    /// New ones are written down, changed ones refused.
    AcceptNew,
    /// Not checked at all; only by Ansible's switch.
    Off,
}

/// How to get to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Via {
    /// A TCP connection.
    Direct,
    /// Through other hosts, in order.
    Jumps(Vec<Hop>),
    /// A command's standard input and output.
    Command(String),
}

/// One host of a jump chain, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    /// Its name.
    pub(super) name: String,
    /// `user@`.
    pub(super) user: Option<String>,
    /// `:port`.
    pub(super) port: Option<u16>,
    /// Further arguments (`-i`, `-o`, `-F`), from a `ssh … -W` command.
    pub(super) arguments: Vec<String>,
}

/// Everything about one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) original: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) via: Via,
    pub(super) identities: Vec<PathBuf>,
    /// Identities were named, so their absence is worth an error.
    pub(super) identities_named: bool,
    pub(super) certificates: Vec<PathBuf>,
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    pub(super) host_keys: HostKeys,
    pub(super) host_key_alias: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) alive_interval: Duration,
    pub(super) alive_count: usize,
    pub(super) lists: Lists,
    /// `publickey`, `keyboard-interactive`, `password`, in the order in which they are tried.
    pub(super) methods: Vec<String>,
    pub(super) family: Family,
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

/// Options that change nothing here and need no warning: they concern sharing, forwarding, terminals and display of the ssh program.
const HARMLESS: &str = "addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots \
    canonicalizepermittedcnames checkhostip clearallforwardings compression connectionattempts controlmaster \
    controlpath controlpersist enableescapecommandline enablesshkeysign escapechar exitonforwardfailure \
    fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted \
    gatewayports gssapiauthentication gssapidelegatecredentials hashknownhosts hostbasedauthentication \
    ignoreunknown include ipqos loglevel logverbose nohostauthenticationforlocalhost numberofpasswordprompts \
    obscurekeystroketiming permitlocalcommand protocol rekeylimit requesttty sendenv sessiontype stdinnull \
    streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel tunneldevice \
    updatehostkeys useprivilegedport verifyhostkeydns visualhostkey xauthlocation usekeychain useroaming \
    warnweakcrypto casignaturealgorithms localforward remoteforward dynamicforward \
    hostbasedacceptedalgorithms hostbasedkeytypes pkcs11provider securitykeyprovider";

/// Options that are obeyed.
const OBEYED: &str = "hostname port user identityfile certificatefile identitiesonly identityagent proxyjump proxycommand \
    userknownhostsfile globalknownhostsfile stricthostkeychecking hostkeyalias connecttimeout \
    serveraliveinterval serveralivecountmax kexalgorithms ciphers macs hostkeyalgorithms \
    pubkeyacceptedalgorithms pubkeyacceptedkeytypes preferredauthentications pubkeyauthentication \
    passwordauthentication kbdinteractiveauthentication challengeresponseauthentication addressfamily";

/// The home of the local user.
pub(super) fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// The local user's name.
pub(super) fn local_user() -> String {
    let from = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    from("USER").or_else(|| from("LOGNAME")).unwrap_or_else(|| user_of_passwd().unwrap_or_else(|| "root".to_owned()))
}

fn user_of_passwd() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find(|line| line.split(':').nth(2) == Some(&id)).and_then(|l| l.split(':').next()).map(str::to_owned)
}

/// The command-line words of a target, read as the ssh program would.
#[derive(Debug, Default)]
struct Words {
    found: Found,
    config: Option<String>,
}

fn read_words(arguments: &[String], warnings: &mut Vec<String>) -> Result<Words, String> {
    let mut words = Words::default();
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        let Some(rest) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            return Err(format!("`{word}` in ssh arguments: an option is expected here, such as -o Key=value"));
        };
        for (place, letter) in rest.char_indices() {
            if !"oJipflFSDLRWbcEeImQwB".contains(letter) {
                if !"46AaCfGgKkMNnqsTtVvXxYy".contains(letter) {
                    return Err(format!("`-{letter}` in ssh arguments is not an option of ssh"));
                }
                match letter {
                    '4' => words.found.add("addressfamily", vec!["inet".to_owned()]),
                    '6' => words.found.add("addressfamily", vec!["inet6".to_owned()]),
                    _ => {}
                }
                continue;
            }
            let attached = rest.get(place + letter.len_utf8()..).unwrap_or("").trim();
            let value = if attached.is_empty() {
                arguments.next().cloned().ok_or_else(|| format!("`-{letter}` in ssh arguments has no value"))?
            } else {
                attached.to_owned()
            };
            match letter {
                'o' => {
                    if let Some((keyword, values)) =
                        ssh_config::split(&value).map_err(|reason| format!("-o {value}: {reason}"))?
                    {
                        words.found.add(&keyword, values);
                    }
                }
                'J' => words.found.add("proxyjump", vec![value]),
                'i' => words.found.add("identityfile", vec![value]),
                'p' => words.found.add("port", vec![value]),
                'l' => words.found.add("user", vec![value]),
                'F' => words.config = Some(value),
                'c' => words.found.add("ciphers", vec![value]),
                'm' => words.found.add("macs", vec![value]),
                other => {
                    warnings.push(format!("ssh argument `-{other} {value}` has no meaning here and is not obeyed"))
                }
            }
            break;
        }
    }
    Ok(words)
}

/// Works out the settings of a target. What is not obeyed is added to `warnings`.
///
/// # Errors
/// A file or an argument can't be read: what and where.
pub(super) fn resolve(
    target: &Target,
    options: &Options,
    files: &Files,
    warnings: &mut Vec<String>,
) -> Result<Settings, String> {
    let words = read_words(&target.arguments, warnings)?;
    let original = target.address.clone().unwrap_or_else(|| target.name.clone());
    let mut found = words.found;
    let local = local_user();
    let user_before = target.user.clone().or_else(|| found.first("user").map(str::to_owned));
    let query = Query { original: &original, user: user_before.as_deref(), local_user: &local };
    match words.config.as_deref() {
        Some("none") => {}
        Some(file) => files.lookup(&expand_home(file), true, query, &mut found)?,
        None => {
            for file in &options.config_files {
                files.lookup(file, false, query, &mut found)?;
            }
        }
    }
    for keyword in found.keywords() {
        let known = OBEYED.split(' ').chain(HARMLESS.split(' ')).any(|known| known == keyword);
        let ignored = found
            .all("ignoreunknown")
            .iter()
            .any(|list| super::pattern::matches_list(list.to_ascii_lowercase().split(','), keyword));
        if !known && !ignored {
            warnings
                .push(format!("the ssh option `{keyword}` (for {original}) is not supported here and has no effect"));
        }
    }
    build(target, &original, &found, &local, options, warnings)
}

fn build(
    target: &Target,
    original: &str,
    found: &Found,
    local: &str,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Settings, String> {
    let port = match (target.port, found.first("port")) {
        (Some(port), _) => port,
        (None, Some(text)) => text.parse().ok().filter(|p| *p > 0).ok_or_else(|| format!("`{text}` is not a port"))?,
        (None, None) => 22,
    };
    let user =
        target.user.clone().or_else(|| found.first("user").map(str::to_owned)).unwrap_or_else(|| local.to_owned());
    let host = found
        .first("hostname")
        .map_or_else(|| original.to_owned(), |h| h.replace("%%", "\0").replace("%h", original).replace('\0', "%"));
    let alias = found.first("hostkeyalias").map(str::to_owned);
    let tokens = Tokens { host: &host, port, user: &user, original, local, alias: alias.as_deref() };
    let path = |text: &str| tokens.path(text);
    let list = |keyword: &str, default: &[PathBuf]| -> Result<Vec<PathBuf>, String> {
        match found.get(keyword) {
            Some(files) if files.first().is_some_and(|f| f.eq_ignore_ascii_case("none")) => Ok(Vec::new()),
            Some(files) => files.iter().map(|file| path(file)).collect(),
            None => Ok(default.to_vec()),
        }
    };
    let mut identities = Vec::new();
    if let Some(key) = &target.private_key {
        identities.push(path(key)?);
    }
    for file in found.all("identityfile") {
        if !file.eq_ignore_ascii_case("none") {
            identities.push(path(file)?);
        }
    }
    let identities_named = !identities.is_empty();
    if found.all("identityfile").is_empty() && target.private_key.is_none() {
        identities = ["id_rsa", "id_ecdsa", "id_ed25519"].iter().map(|name| home().join(".ssh").join(name)).collect();
    }
    let agent = match found.first("identityagent") {
        Some(text) if text.eq_ignore_ascii_case("none") => None,
        Some("SSH_AUTH_SOCK") | None => options.agent.clone(),
        Some(text) => match text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
            Some(variable) => std::env::var_os(variable).map(PathBuf::from),
            None => Some(path(text)?),
        },
    };
    let strict = match found.first("stricthostkeychecking").map(str::to_ascii_lowercase).as_deref() {
        _ if !target.check_host_key => HostKeys::Off,
        Some("accept-new") => HostKeys::AcceptNew,
        Some("no" | "off") => {
            warnings.push(format!(
                "StrictHostKeyChecking=no (for {original}) is read as accept-new: a new host key is accepted and a changed one \
                 refused. Only host_key_checking=False turns the check off"
            ));
            HostKeys::AcceptNew
        }
        None | Some("yes" | "ask" | "on" | "true") => options.new_host_keys(),
        Some(other) => return Err(format!("StrictHostKeyChecking {other}: yes, accept-new or no is expected")),
    };
    Ok(Settings {
        via: via(found, &tokens)?,
        identities,
        identities_named,
        certificates: found.all("certificatefile").into_iter().map(path).collect::<Result<_, _>>()?,
        identities_only: flag(found, "identitiesonly", false),
        agent,
        known_hosts: list("userknownhostsfile", &options.known_hosts)?,
        global_known_hosts: list("globalknownhostsfile", &options.global_known_hosts)?,
        host_keys: strict,
        connect_timeout: seconds(found, "connecttimeout")?.filter(|d| !d.is_zero()).unwrap_or(target.timeout),
        alive_interval: seconds(found, "serveraliveinterval")?
            .filter(|d| !d.is_zero())
            .unwrap_or(options.alive_interval),
        alive_count: found.first("serveralivecountmax").and_then(|n| n.parse().ok()).unwrap_or(3),
        lists: Lists {
            kex: found.first("kexalgorithms").map(str::to_owned),
            ciphers: found.first("ciphers").map(str::to_owned),
            macs: found.first("macs").map(str::to_owned),
            host_keys: found.first("hostkeyalgorithms").map(str::to_owned),
            user_keys: found
                .first("pubkeyacceptedalgorithms")
                .or_else(|| found.first("pubkeyacceptedkeytypes"))
                .map(str::to_owned),
        },
        methods: methods(found),
        family: match found.first("addressfamily") {
            Some("inet") => Family::V4,
            Some("inet6") => Family::V6,
            _ => Family::Any,
        },
        host_key_alias: alias.clone(),
        original: original.to_owned(),
        host: host.clone(),
        port,
        user: user.clone(),
    })
}

fn flag(found: &Found, keyword: &str, default: bool) -> bool {
    match found.first(keyword).map(str::to_ascii_lowercase).as_deref() {
        Some("yes" | "true" | "on") => true,
        Some("no" | "false" | "off") => false,
        _ => default,
    }
}

fn seconds(found: &Found, keyword: &str) -> Result<Option<Duration>, String> {
    match found.first(keyword) {
        None | Some("none") => Ok(None),
        Some(text) => crate::base::parse_duration(text).map(Some).map_err(|reason| format!("{keyword}: {reason}")),
    }
}

fn methods(found: &Found) -> Vec<String> {
    let order = found.first("preferredauthentications").unwrap_or("publickey,keyboard-interactive,password");
    let interactive = flag(found, "challengeresponseauthentication", true);
    let allowed = |method: &&str| match *method {
        "publickey" => flag(found, "pubkeyauthentication", true),
        "keyboard-interactive" => flag(found, "kbdinteractiveauthentication", interactive),
        "password" => flag(found, "passwordauthentication", true),
        _ => false,
    };
    order.split(',').map(str::trim).filter(allowed).map(str::to_owned).collect()
}

fn via(found: &Found, tokens: &Tokens<'_>) -> Result<Via, String> {
    // Whichever of the two was written first wins, as in OpenSSH.
    let first = found.keywords().find(|k| *k == "proxyjump" || *k == "proxycommand");
    let text = |keyword: &str| found.first(keyword).unwrap_or("").to_owned();
    match first {
        Some("proxyjump") if !text("proxyjump").eq_ignore_ascii_case("none") => {
            let hops: Result<Vec<_>, _> = text("proxyjump").split(',').map(|hop| parse_hop(hop.trim())).collect();
            Ok(Via::Jumps(hops?))
        }
        Some("proxycommand") if !text("proxycommand").eq_ignore_ascii_case("none") => {
            let command = text("proxycommand");
            match jump_of_command(&command) {
                Some(hop) => Ok(Via::Jumps(vec![hop])),
                None => Ok(Via::Command(tokens.expand(&command)?)),
            }
        }
        _ => Ok(Via::Direct),
    }
}

/// Reads `[user@]host[:port]` or `ssh://…`; IPv6 addresses with a port stand in brackets.
///
/// # Errors
/// It isn't one.
pub(super) fn parse_hop(text: &str) -> Result<Hop, String> {
    let wrong = || format!("`{text}` is not a jump host: write user@host:port, several of them with commas");
    let rest = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, rest),
    };
    let (name, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (name, after) = inner.split_once(']').ok_or_else(wrong)?;
            (name, after.strip_prefix(':'))
        }
        None if rest.matches(':').count() == 1 => {
            let (name, port) = rest.split_once(':').ok_or_else(wrong)?;
            (name, Some(port))
        }
        None => (rest, None),
    };
    if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let port = port.map(|p| p.parse::<u16>().map_err(|_| wrong())).transpose()?;
    Ok(Hop { name: name.to_owned(), user, port, arguments: Vec::new() })
}

/// `ssh [options] -W %h:%p bastion` is a jump, and needs no ssh program.
fn jump_of_command(command: &str) -> Option<Hop> {
    let words = shlex::split(command)?;
    let mut words = words.into_iter();
    let program = words.next()?;
    if program != "ssh" && !program.ends_with("/ssh") {
        return None;
    }
    let mut forwards = false;
    let mut hop: Option<Hop> = None;
    let mut arguments = Vec::new();
    while let Some(word) = words.next() {
        if word == "-W" {
            forwards = matches!(words.next()?.as_str(), "%h:%p" | "[%h]:%p");
        } else if word == "-W%h:%p" {
            forwards = true;
        } else if let Some(letter) = word.strip_prefix('-') {
            match letter.chars().next()? {
                'o' | 'i' | 'p' | 'l' | 'F' | 'J' | 'c' | 'm' if letter.len() == 1 => {
                    arguments.push(word);
                    arguments.push(words.next()?);
                }
                'o' | 'i' | 'p' | 'l' | 'F' | 'J' | 'c' | 'm' => arguments.push(word),
                _ if letter.chars().all(|c| "qaxTNnv46C".contains(c)) => {}
                _ => return None,
            }
        } else if hop.is_none() {
            hop = Some(parse_hop(&word).ok()?);
        } else {
            return None;
        }
    }
    let mut hop = hop.filter(|_| forwards)?;
    hop.arguments = arguments;
    Some(hop)
}

struct Tokens<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    original: &'a str,
    local: &'a str,
    alias: Option<&'a str>,
}

impl Tokens<'_> {
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
            match characters.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(self.host),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('n') => out.push_str(self.original),
                Some('k') => out.push_str(self.alias.unwrap_or(self.original)),
                Some('u') => out.push_str(self.local),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                Some('d') => out.push_str(&home().to_string_lossy()),
                Some('l') => out.push_str(&name()),
                Some('L') => out.push_str(name().split('.').next().unwrap_or("")),
                Some(other) => return Err(format!("`%{other}` in `{text}` is not supported")),
                None => return Err(format!("`{text}` ends with a single %; write %% for one")),
            }
        }
        Ok(out)
    }

    fn path(&self, text: &str) -> Result<PathBuf, String> {
        Ok(expand_home(&expand_variables(&self.expand(text)?)?))
    }
}

fn expand_variables(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, later) = after.split_once('}').ok_or_else(|| format!("`{text}`: ${{ is not closed"))?;
        let value = std::env::var(name).map_err(|_| format!("`{text}`: the environment has no {name}"))?;
        out.push_str(before);
        out.push_str(&value);
        rest = later;
    }
    out.push_str(rest);
    Ok(out)
}

fn expand_home(text: &str) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(rest) => home().join(rest),
        None if text == "~" => home(),
        None => Path::new(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_with(config: &str, change: impl FnOnce(&mut Target)) -> (Result<Settings, String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, config).unwrap();
        let options = Options { config_files: vec![file], ..Options::default() };
        let mut target = Target::named("web1");
        change(&mut target);
        let mut warnings = Vec::new();
        let settings = resolve(&target, &options, &Files::default(), &mut warnings);
        (settings, warnings)
    }

    #[test]
    fn variables_beat_arguments_and_arguments_beat_files() {
        let config = "Host web1\n  HostName %h.example.org\n  User filed\n  Port 2022\n  IdentityFile ~/.ssh/%r_key\n";
        let (settings, warnings) = resolve_with(config, |target| {
            target.arguments = ["-o", "User=argued", "-oPort=2", "-4q"].map(str::to_owned).to_vec();
            target.port = Some(3);
        });
        let settings = settings.unwrap();
        assert_eq!((settings.host.as_str(), settings.port, settings.user.as_str()), ("web1.example.org", 3, "argued"));
        assert_eq!(settings.identities, [home().join(".ssh/argued_key")]);
        assert_eq!(settings.family, Family::V4);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn options_without_effect_are_warned_of_by_name() {
        let (_, warnings) =
            resolve_with("Host *\n  KnownHostsCommand x\n  ControlMaster auto\n  Frobnicate yes\n", |_| {});
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains("frobnicate"));
    }

    #[test]
    fn a_proxy_command_of_ssh_is_a_jump() {
        let via = |command: &str| resolve_with(&format!("Host *\n  {command}\n"), |_| {}).0.unwrap().via;
        let hop = |name: &str, user: Option<&str>, port, arguments: &[&str]| Hop {
            name: name.to_owned(),
            user: user.map(str::to_owned),
            port,
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        };
        assert_eq!(
            via("ProxyCommand ssh -q -W %h:%p ops@bastion"),
            Via::Jumps(vec![hop("bastion", Some("ops"), None, &[])])
        );
        assert_eq!(
            via("ProxyCommand ssh -p 2222 -W %h:%p bastion"),
            Via::Jumps(vec![hop("bastion", None, None, &["-p", "2222"])])
        );
        assert_eq!(via("ProxyCommand nc %h %p"), Via::Command("nc web1 22".to_owned()));
        assert_eq!(
            via("ProxyJump a,ops@b:2201,[fe80::1]:22"),
            Via::Jumps(vec![
                hop("a", None, None, &[]),
                hop("b", Some("ops"), Some(2201), &[]),
                hop("fe80::1", None, Some(22), &[])
            ])
        );
        assert_eq!(via("ProxyJump none"), Via::Direct);
    }

    #[test]
    fn checking_host_keys_is_never_off_by_accident() {
        let strict = |config: &str, check| {
            let (settings, warnings) = resolve_with(config, |target| target.check_host_key = check);
            (settings.unwrap().host_keys, warnings.len())
        };
        assert_eq!(strict("", true), (HostKeys::Strict, 0));
        assert_eq!(strict("StrictHostKeyChecking no\n", true), (HostKeys::AcceptNew, 1));
        assert_eq!(strict("StrictHostKeyChecking accept-new\n", true), (HostKeys::AcceptNew, 0));
        assert_eq!(strict("", false), (HostKeys::Off, 0));
    }

    #[test]
    fn bad_arguments_are_errors_that_name_them() {
        let wrong = |words: &[&str]| {
            resolve_with("", |t| t.arguments = words.iter().map(|w| (*w).to_owned()).collect()).0.unwrap_err()
        };
        assert!(wrong(&["host"]).contains("`host`"));
        assert!(wrong(&["-o"]).contains("no value"));
        assert!(wrong(&["-o", "Port"]).contains("port has no value"));
        assert!(wrong(&["-p", "x"]).contains("`x` is not a port"));
    }
}
