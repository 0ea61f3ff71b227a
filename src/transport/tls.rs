//! TLS for HTTP: the client's side, over any stream.
//!
//! The certificates that this machine trusts are those of its own store, read once; a request may name others instead. A
//! certificate that is not verified is an error unless the request says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::Stream;

/// How a server is to be trusted, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Whether the server's certificate is verified.
    pub(crate) verify: bool,
    /// Certificates that are trusted instead of the machine's: a PEM file, or a folder of such files.
    pub(crate) authorities: Option<PathBuf>,
    /// Our certificate (PEM), and its key where that is in a file of its own.
    pub(crate) client: Option<(PathBuf, Option<PathBuf>)>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, authorities: None, client: None }
    }
}

/// Makes a stream to `host` a TLS one.
///
/// # Errors
/// Files can't be read, or the other side can't be trusted or does no TLS: a sentence.
pub(super) async fn wrap(stream: Box<dyn Stream>, host: &str, tls: &Tls) -> Result<Box<dyn Stream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` can't be a server's name"))?;
    let config = config(tls)?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        inner.map_or_else(|| format!("no TLS: {error}"), |inner| describe(inner, host))
    })?;
    Ok(Box::new(stream))
}

fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS can't be set up: {error}"))?;
    let builder = match (tls.verify, &tls.authorities) {
        (false, _) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        (true, Some(path)) => builder.with_root_certificates(authorities(path)?),
        (true, None) => builder.with_root_certificates(machines()?),
    };
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let file = key.as_ref().unwrap_or(certificate);
            let key = PrivateKeyDer::from_pem_file(file)
                .map_err(|error| format!("no private key can be read from {}: {error}", file.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("{} is no certificate to show: {error}", certificate.display()))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates in a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("no certificate can be read from {}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() { Err(wrong(&"it holds none")) } else { Ok(found) }
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    let wrong = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(wrong)? {
            // A folder of certificates may hold other files too.
            let file = entry.map_err(wrong)?.path();
            store.add_parsable_certificates(certificates(&file).unwrap_or_default());
        }
    } else {
        store.add_parsable_certificates(certificates(path)?);
    }
    if store.is_empty() {
        return Err(format!("no certificate of an authority is in {}", path.display()));
    }
    Ok(Arc::new(store))
}

/// The store of this machine.
fn machines() -> Result<Arc<RootCertStore>, String> {
    static STORE: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let store = STORE.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    if store.is_empty() {
        return Err(
            "this machine trusts no certificates (package ca-certificates): name the authority's with `ca_path`"
                .to_owned(),
        );
    }
    Ok(Arc::clone(store))
}

/// What went wrong and what to do.
fn describe(error: &Error, host: &str) -> String {
    let Error::InvalidCertificate(why) = error else { return format!("no TLS: {error}") };
    match why {
        CertificateError::UnknownIssuer => "its certificate is signed by nobody who is trusted here: give the \
             authority's certificate with `ca_path` (or `validate_certs: false`)"
            .to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for `{host}`: {error}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate expired: {error}")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => "its certificate is that of an \
             authority, which a server must not show: have the authority sign one for the server (or `validate_certs: false`)"
            .to_owned(),
        _ => format!("its certificate is not accepted: {error}"),
    }
}

/// Trusts every certificate, and still holds the other side to the key that is in it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::{HttpRequest, request};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;

    struct Papers {
        folder: tempfile::TempDir,
    }

    impl Papers {
        /// An authority, and certificates by it: of `localhost`, and of a client.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut authority = CertificateParams::new(Vec::new()).unwrap();
            let name = folder.path().display().to_string();
            authority.distinguished_name.push(DnType::CommonName, name);
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
            std::fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
            for name in ["localhost", "client"] {
                let key = KeyPair::generate().unwrap();
                let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority);
                std::fs::write(folder.path().join(format!("{name}.pem")), certificate.unwrap().pem()).unwrap();
                std::fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
            }
            Self { folder }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Asks a server that shows the certificate of `localhost`, and may want one of its client.
        async fn ask(&self, host: &str, tls: Tls, wants_client: bool) -> Result<u16, String> {
            let provider = Arc::new(crypto::aws_lc_rs::default_provider());
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let builder = if wants_client {
                let roots = authorities(&self.path("authority.pem")).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            } else {
                builder.with_no_client_auth()
            };
            let key = PrivateKeyDer::from_pem_file(self.path("localhost.key")).unwrap();
            let config = builder.with_single_cert(certificates(&self.path("localhost.pem")).unwrap(), key).unwrap();
            let (client, server) = tokio::io::duplex(1 << 16);
            let serving = tokio::spawn(async move {
                let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(server).await else { return };
                let mut seen = vec![0; 4096];
                let _ = stream.read(&mut seen).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
            let wanted = HttpRequest {
                method: "GET".to_owned(),
                url: format!("https://{host}/x"),
                headers: Vec::new(),
                basic: None,
                body: Vec::new(),
                timeout: Duration::from_secs(10),
                keep: 1000,
                tls,
            };
            let answer = request(Some(Box::new(client)), &wanted).await;
            serving.abort();
            answer.map(|answer| answer.status)
        }
    }

    #[tokio::test]
    async fn a_server_is_trusted_by_its_authority_and_for_its_name_only() {
        let papers = Papers::new();
        let trusting = Tls { authorities: Some(papers.path("authority.pem")), ..Tls::default() };
        assert_eq!(papers.ask("localhost", trusting.clone(), false).await, Ok(204));
        let folder = Tls { authorities: Some(papers.path("")), ..Tls::default() };
        assert_eq!(papers.ask("localhost", folder, false).await, Ok(204));
        let other = papers.ask("127.0.0.1", trusting, false).await.unwrap_err();
        assert!(other.contains("https://127.0.0.1/x: its certificate is not for `127.0.0.1`"), "{other}");
        let stranger = Papers::new();
        let strange = Tls { authorities: Some(stranger.path("authority.pem")), ..Tls::default() };
        let unknown = papers.ask("localhost", strange, false).await.unwrap_err();
        assert!(unknown.contains("signed by nobody who is trusted here") && unknown.contains("ca_path"), "{unknown}");
        let blind = Tls { verify: false, ..Tls::default() };
        assert_eq!(papers.ask("127.0.0.1", blind, false).await, Ok(204));
    }

    #[tokio::test]
    async fn a_client_shows_its_certificate_where_it_has_one() {
        let papers = Papers::new();
        let trusting = Tls { authorities: Some(papers.path("authority.pem")), ..Tls::default() };
        assert!(papers.ask("localhost", trusting.clone(), true).await.is_err());
        let client = Some((papers.path("client.pem"), Some(papers.path("client.key"))));
        assert_eq!(papers.ask("localhost", Tls { client, ..trusting.clone() }, true).await, Ok(204));
        let keyless = Tls { client: Some((papers.path("client.pem"), None)), ..trusting };
        let failed = papers.ask("localhost", keyless, true).await.unwrap_err();
        assert!(failed.contains("no private key can be read from"), "{failed}");
        let none = Tls { authorities: Some(papers.path("client.key")), ..Tls::default() };
        assert!(papers.ask("localhost", none, false).await.unwrap_err().contains("it holds none"));
    }
}
