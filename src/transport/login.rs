//! Logging in: agent keys, key files with certificates, keyboard-interactive, password; in OpenSSH's order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use crate::base::Secret;

use super::algorithms;
use super::link::Handler;
use super::settings::Settings;

/// How a login ended when it didn't succeed.
#[derive(Debug)]
pub(super) enum Refused {
    /// Everything was refused; what was tried, in order.
    Tried(Vec<String>),
    /// The connection ended meanwhile.
    Ended(Vec<String>, String),
    /// Something here is wrong.
    Local(String),
}

/// A key that may be offered.
#[expect(clippy::large_enum_variant, reason = "a handful of them live for the time of a login")]
enum Candidate {
    /// The agent holds it.
    Agent(AgentIdentity),
    /// It is in a file, perhaps with a certificate.
    File { key: Arc<PrivateKey>, path: PathBuf },
    /// A certificate for a key in a file.
    Certified { key: Arc<PrivateKey>, certificate: Box<Certificate>, path: PathBuf },
}

/// The state of one login.
struct Login<'a> {
    handle: &'a mut Handle<Handler>,
    settings: &'a Settings,
    tried: Vec<String>,
    /// What the server would take, once it has said so.
    remaining: Option<Vec<MethodKind>>,
    accepted: Vec<String>,
    rsa: Option<Vec<Option<HashAlg>>>,
}

/// Logs in.
///
/// # Errors
/// See [`Refused`].
pub(super) async fn log_in(
    handle: &mut Handle<Handler>,
    settings: &Settings,
    password: Option<&Secret>,
    passphrase: Option<&Secret>,
) -> Result<(), Refused> {
    let accepted = algorithms::user_keys(&settings.lists).map_err(Refused::Local)?;
    let mut login = Login { handle, settings, tried: Vec::new(), remaining: None, accepted, rsa: None };
    for method in &settings.methods {
        let done = match method.as_str() {
            "publickey" if login.may(MethodKind::PublicKey) => login.keys(passphrase).await?,
            "keyboard-interactive" if login.may(MethodKind::KeyboardInteractive) => match password {
                Some(password) => login.interactive(password).await?,
                None => false,
            },
            "password" if login.may(MethodKind::Password) => match password {
                // The same wrong password twice would count twice towards a lock-out.
                Some(password) if !login.tried.iter().any(|t| t == INTERACTIVE) => login.password(password).await?,
                _ => false,
            },
            _ => false,
        };
        if done {
            return Ok(());
        }
    }
    if login.remaining.is_none() {
        // Nothing was tried yet: ask what it would take. A host that asks for nothing lets us in here.
        let answer = login.handle.authenticate_none(&settings.user).await;
        if login.judge("none", answer)? {
            return Ok(());
        }
        login.tried.retain(|tried| tried != "none");
    }
    if let Some(remaining) = &login.remaining
        && !remaining.is_empty()
    {
        let takes: Vec<String> = remaining.iter().map(String::from).collect();
        let note = if login.tried.is_empty() { "nothing" } else { "" };
        let takes = format!("{note} (it takes {})", takes.join(", "));
        match login.tried.last_mut() {
            Some(last) => last.push_str(&takes),
            None => login.tried.push(takes),
        }
    }
    Err(Refused::Tried(login.tried))
}

/// How keyboard-interactive stands in the list of what was tried.
const INTERACTIVE: &str = "the password by keyboard-interactive";

impl Login<'_> {
    fn may(&self, method: MethodKind) -> bool {
        self.remaining.as_ref().is_none_or(|remaining| remaining.contains(&method))
    }

    /// Notes an attempt and says whether we are in.
    fn judge<E: std::fmt::Display>(&mut self, what: &str, answer: Result<AuthResult, E>) -> Result<bool, Refused> {
        self.tried.push(what.to_owned());
        match answer {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if partial_success && let Some(last) = self.tried.last_mut() {
                    last.push_str(" (accepted, and more is asked for)");
                }
                self.remaining = Some(remaining_methods.iter().copied().collect());
                if self.handle.is_closed() {
                    return Err(Refused::Ended(self.tried.clone(), "it gave up on us".to_owned()));
                }
                Ok(false)
            }
            Err(error) => Err(Refused::Ended(self.tried.clone(), error.to_string())),
        }
    }

    async fn keys(&mut self, passphrase: Option<&Secret>) -> Result<bool, Refused> {
        let files = self.load_files(passphrase)?;
        let mut agent = match &self.settings.agent {
            Some(socket) => connect_agent(socket).await,
            None => None,
        };
        let identities = match &mut agent {
            Some(client) => client.request_identities().await.unwrap_or_default(),
            None => Vec::new(),
        };
        for candidate in self.order(identities, files) {
            let partial = self.tried.len();
            if self.try_key(candidate, agent.as_mut()).await? {
                return Ok(true);
            }
            // After a key was accepted as one of several factors, another key is of no use.
            let more = self.tried.iter().skip(partial).any(|t| t.ends_with("asked for)"));
            if more || !self.may(MethodKind::PublicKey) {
                break;
            }
        }
        Ok(false)
    }

    /// Agent keys that are also named by a file, then (unless `IdentitiesOnly`) the agent's others, then files.
    fn order(&self, agent: Vec<AgentIdentity>, files: Vec<(PathBuf, Loaded)>) -> Vec<Candidate> {
        let named = |identity: &AgentIdentity| {
            let key = identity.public_key();
            files.iter().any(|(_, loaded)| loaded.public.as_ref().is_some_and(|p| p.key_data() == key.key_data()))
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = agent.into_iter().partition(named);
        if !self.settings.identities_only {
            first.extend(rest);
        }
        let held: Vec<PublicKey> = first.iter().map(|i| i.public_key().into_owned()).collect();
        let mut candidates: Vec<Candidate> = first.into_iter().map(Candidate::Agent).collect();
        for (path, loaded) in files {
            let Some(key) = loaded.key else { continue };
            for certificate in loaded.certificates {
                candidates.push(Candidate::Certified {
                    key: key.clone(),
                    certificate: Box::new(certificate),
                    path: path.clone(),
                });
            }
            if !held.iter().any(|h| h.key_data() == key.public_key().key_data()) {
                candidates.push(Candidate::File { key, path });
            }
        }
        candidates
    }

    /// Hash algorithms for RSA: asked of the server once, since it may take a second to say nothing.
    async fn hashes(&mut self, algorithm: &Algorithm) -> Vec<Option<HashAlg>> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return vec![None];
        }
        if self.rsa.is_none() {
            let offered = self.handle.best_supported_rsa_hash().await.ok().flatten();
            self.rsa = Some(algorithms::rsa_hashes(&self.accepted, offered));
        }
        self.rsa.clone().unwrap_or_default()
    }

    async fn try_key(&mut self, candidate: Candidate, agent: Option<&mut Agent>) -> Result<bool, Refused> {
        let user = self.settings.user.clone();
        let (algorithm, name) = match &candidate {
            Candidate::Agent(identity) => {
                let key = identity.public_key();
                let comment: String = identity.comment().chars().filter(|c| !c.is_control()).take(80).collect();
                (key.algorithm(), format!("{comment} (agent)"))
            }
            Candidate::File { key, path } => (key.algorithm(), shown(path)),
            Candidate::Certified { key, path, .. } => {
                (key.algorithm(), format!("{} with its certificate", shown(path)))
            }
        };
        if !algorithms::key_allowed(&self.accepted, &algorithm) {
            self.tried.push(format!("{name} ({algorithm}, switched off by PubkeyAcceptedAlgorithms)"));
            return Ok(false);
        }
        let hashes = self.hashes(&algorithm).await;
        if hashes.is_empty() {
            self.tried.push(format!(
                "{name} (the server takes RSA keys with SHA-1 only: PubkeyAcceptedAlgorithms +ssh-rsa allows it)"
            ));
            return Ok(false);
        }
        match candidate {
            Candidate::Agent(identity) => {
                let Some(agent) = agent else { return Ok(false) };
                for hash in hashes {
                    let answer = match &identity {
                        AgentIdentity::PublicKey { key, .. } => {
                            self.handle.authenticate_publickey_with(&user, key.clone(), hash, agent).await
                        }
                        AgentIdentity::Certificate { certificate, .. } => {
                            self.handle.authenticate_certificate_with(&user, certificate.clone(), hash, agent).await
                        }
                    };
                    match answer {
                        Err(error) if !self.handle.is_closed() => {
                            self.tried.push(format!("{name}: {error}"));
                            break;
                        }
                        answer => {
                            if self.judge(&name, answer)? {
                                return Ok(true);
                            }
                        }
                    }
                }
                Ok(false)
            }
            Candidate::File { key, .. } => {
                for hash in hashes {
                    let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
                    let answer = self.handle.authenticate_publickey(&user, key).await;
                    if self.judge(&name, answer)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Candidate::Certified { key, certificate, .. } => {
                let answer = self.handle.authenticate_openssh_cert(&user, key, *certificate).await;
                self.judge(&name, answer)
            }
        }
    }

    async fn password(&mut self, password: &Secret) -> Result<bool, Refused> {
        let answer = self.handle.authenticate_password(&self.settings.user, password.reveal()).await;
        self.judge("the password", answer)
    }

    async fn interactive(&mut self, password: &Secret) -> Result<bool, Refused> {
        let user = self.settings.user.clone();
        let ended = |tried: &[String], error: russh::Error| Refused::Ended(tried.to_vec(), error.to_string());
        let mut answer = match self.handle.authenticate_keyboard_interactive_start(user, None).await {
            Ok(answer) => answer,
            Err(error) => return Err(ended(&self.tried, error)),
        };
        let mut given = 0;
        loop {
            match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    let what = if given > 0 { INTERACTIVE } else { "keyboard-interactive" };
                    let result = AuthResult::Failure { remaining_methods, partial_success };
                    return self.judge(what, Ok::<_, russh::Error>(result));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    let hidden = prompts.iter().filter(|p| !p.echo).count();
                    let mut responses = Vec::new();
                    for prompt in &prompts {
                        let asks = !prompt.echo && (hidden == 1 || prompt.prompt.to_lowercase().contains("password"));
                        if asks && given > 0 {
                            // It asks again: the password was wrong, and we have no other.
                            self.tried.push(INTERACTIVE.to_owned());
                            return Ok(false);
                        }
                        responses.push(if asks { password.reveal().to_owned() } else { String::new() });
                        given += usize::from(asks);
                    }
                    answer = match self.handle.authenticate_keyboard_interactive_respond(responses).await {
                        Ok(answer) => answer,
                        Err(error) => return Err(ended(&self.tried, error)),
                    };
                }
            }
        }
    }

    fn load_files(&mut self, passphrase: Option<&Secret>) -> Result<Vec<(PathBuf, Loaded)>, Refused> {
        let mut files = Vec::new();
        for path in &self.settings.identities {
            match load(path, passphrase) {
                Ok(mut loaded) => {
                    if let Some(problem) = loaded.problem.take() {
                        self.tried.push(format!("{} ({problem})", shown(path)));
                    }
                    let named = self.settings.certificates.iter();
                    let named: Vec<_> = named.filter_map(|file| certificate_for(file, &loaded)).collect();
                    loaded.certificates.extend(named);
                    files.push((path.clone(), loaded));
                }
                Err(reason) if self.settings.identities_named => return Err(Refused::Local(reason)),
                Err(_) => {}
            }
        }
        Ok(files)
    }
}

/// What is in the files of one identity.
#[derive(Default)]
struct Loaded {
    key: Option<Arc<PrivateKey>>,
    public: Option<PublicKey>,
    certificates: Vec<Certificate>,
    /// Why the private key can't be used from here; the agent may hold it.
    problem: Option<String>,
}

fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Loaded, String> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let public = |file: &Path| PublicKey::read_openssh_file(file).ok();
    let mut loaded = Loaded { public: public(&beside(".pub")), ..Loaded::default() };
    match std::fs::read_to_string(path) {
        Ok(text) => match russh::keys::decode_secret_key(&text, passphrase.map(Secret::reveal)) {
            Ok(key) => {
                loaded.public = Some(key.public_key().clone());
                loaded.key = Some(Arc::new(key));
            }
            Err(error) => {
                if let Ok(public) = PublicKey::from_openssh(&text) {
                    // IdentityFile may name a public key, whose private half the agent has.
                    loaded.public = Some(public);
                    return Ok(loaded);
                }
                let encrypted = is_encrypted(&text);
                if encrypted && loaded.public.is_none() {
                    loaded.public = PrivateKey::from_openssh(&text).ok().map(|key| key.public_key().clone());
                }
                loaded.problem = Some(match (encrypted, passphrase) {
                    (true, Some(_)) => "encrypted, and the passphrase is wrong".to_owned(),
                    (true, None) => {
                        "encrypted: load it into an agent with ssh-add, or have its passphrase asked for".to_owned()
                    }
                    (false, _) => {
                        return Err(format!("{} is not a private key that can be read: {error}", shown(path)));
                    }
                });
            }
        },
        Err(error) if loaded.public.is_none() => {
            return Err(format!("cannot read the private key {}: {error}", shown(path)));
        }
        Err(_) => {}
    }
    if let Some(certificate) = certificate_for(&beside("-cert.pub"), &loaded) {
        loaded.certificates.push(certificate);
    }
    Ok(loaded)
}

fn is_encrypted(text: &str) -> bool {
    text.contains("ENCRYPTED") || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

fn certificate_for(path: &Path, loaded: &Loaded) -> Option<Certificate> {
    let text = std::fs::read_to_string(path).ok()?;
    let certificate = Certificate::from_openssh(&text).ok()?;
    let public = loaded.public.as_ref()?;
    (certificate.public_key() == public.key_data()).then_some(certificate)
}

type Agent = AgentClient<UnixStream>;

/// An agent that isn't there is no error: it just holds nothing.
async fn connect_agent(socket: &Path) -> Option<Agent> {
    UnixStream::connect(socket).await.ok().map(AgentClient::connect)
}

fn shown(path: &Path) -> String {
    match path.strip_prefix(super::settings::home()) {
        Ok(rest) => format!("~/{}", rest.display()),
        Err(_) => path.display().to_string(),
    }
}
