//! TLS for sessions: rustls with ring, in libpq's modes.
//!
//! `prefer` and `require` encrypt and ask nothing of the certificate, unless a root file is there: then `require` means
//! `verify-ca`, as in libpq. `verify-full` without a root file trusts the system's store; `verify-ca` may not, since any
//! public certificate would pass. A certificate that itself stands in the root file is trusted as it is, so that the usual
//! self-signed server certificate works; rustls alone refuses it because it is no end-entity.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// Plain, and encrypted if the server insists.
    Allow,
    /// Encrypted, and plain if the server does not know how or insists.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl TlsMode {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// What a connection string says of TLS.
#[derive(Debug, Clone)]
pub(super) struct TlsSettings {
    pub mode: TlsMode,
    /// Trusted certificates; `None` is the system's store.
    pub root: Option<PathBuf>,
    /// Client certificate chain and its key.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// Why TLS cannot be set up, before any byte is sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read certificates or key from `{path}`")]
    Pem { path: String, source: rustls::pki_types::pem::Error },
    #[error("`{0}` has no certificate in it")]
    NoCertificate(String),
    #[error("the system has no trusted certificates; set sslrootcert")]
    NoSystemStore,
    #[error("verify-ca needs sslrootcert: the system's store would trust any public certificate")]
    NoRoot,
    #[error("`{0}` can be read by others; run `chmod 0600 {0}`")]
    ExposedKey(String),
    #[error("sslcert and sslkey only work together")]
    HalfIdentity,
    #[error("rustls refuses the certificates")]
    Rustls(#[from] rustls::Error),
}

/// How the server's certificate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Anything,
    Chain,
    ChainAndName,
}

impl TlsSettings {
    fn trust(&self) -> Trust {
        match self.mode {
            TlsMode::VerifyFull => Trust::ChainAndName,
            TlsMode::VerifyCa => Trust::Chain,
            TlsMode::Require if self.root.is_some() => Trust::Chain,
            _ => Trust::Anything,
        }
    }

    /// The connector for these settings. Files are read anew each time, so that renewed certificates are seen.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn connector(&self) -> Result<MakeRustlsConnect, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => config.with_client_auth_cert(certificates(cert)?, private_key(key)?)?,
            (None, None) => config.with_no_client_auth(),
            _ => return Err(TlsError::HalfIdentity),
        };
        // PostgreSQL 17 asks for it with sslnegotiation=direct; older servers do not look.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
        let trust = self.trust();
        let pinned = match (&self.root, trust) {
            (_, Trust::Anything) => Vec::new(),
            (Some(path), _) => certificates(path)?,
            (None, Trust::Chain) => return Err(TlsError::NoRoot),
            (None, Trust::ChainAndName) => Vec::new(),
        };
        let chain = match trust {
            Trust::Anything => None,
            _ => Some(WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots(&pinned)?), provider.clone()).build()),
        };
        let chain = chain.transpose().map_err(|_| TlsError::NoSystemStore)?;
        Ok(Verifier { trust, chain, pinned, provider: provider.clone() })
    }

    fn roots(&self, from_file: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if self.root.is_some() {
            for certificate in from_file {
                roots.add(certificate.clone())?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { path: path.display().to_string(), source };
    let found: Vec<_> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)?;
    if found.is_empty() { Err(TlsError::NoCertificate(path.display().to_string())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    if super::dsn::open_to_others(path) {
        return Err(TlsError::ExposedKey(path.display().to_string()));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem { path: path.display().to_string(), source })
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    chain: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn judge(&self, server: &ServerChain<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(()) };
        if self.pinned.contains(server.certificate) {
            let parsed = ParsedCertificate::try_from(server.certificate)?;
            return if self.trust == Trust::ChainAndName { verify_server_name(&parsed, name) } else { Ok(()) };
        }
        // The chain is judged before the name, so an error about the name means that the chain is sound.
        match chain.verify_server_cert(server.certificate, server.intermediates, name, server.ocsp, now) {
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }))
                if self.trust == Trust::Chain =>
            {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }
}

/// What the server showed.
struct ServerChain<'a> {
    certificate: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    ocsp: &'a [u8],
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let server = ServerChain { certificate: end_entity, intermediates, ocsp: ocsp_response };
        self.judge(&server, server_name, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: &str, root: Option<&str>) -> TlsSettings {
        TlsSettings { mode: TlsMode::parse(mode).unwrap(), root: root.map(PathBuf::from), cert: None, key: None }
    }

    #[test]
    fn a_root_file_turns_require_into_verify_ca_and_prefer_never_asks() {
        assert_eq!(settings("require", None).trust(), Trust::Anything);
        assert_eq!(settings("require", Some("r")).trust(), Trust::Chain);
        assert_eq!(settings("prefer", Some("r")).trust(), Trust::Anything);
        assert_eq!(settings("verify-full", None).trust(), Trust::ChainAndName);
    }

    #[test]
    fn what_cannot_work_is_refused_before_connecting() {
        let refused = |s: TlsSettings| s.connector().err().map(|e| e.to_string());
        assert!(settings("prefer", None).connector().is_ok());
        assert_eq!(refused(settings("verify-full", Some("/no/such.crt"))).unwrap(), "cannot read certificates or key from `/no/such.crt`");
        assert!(refused(settings("verify-ca", None)).unwrap().starts_with("verify-ca needs sslrootcert"));
        let half = TlsSettings { cert: Some("/c".into()), ..settings("require", None) };
        assert_eq!(refused(half).unwrap(), "sslcert and sslkey only work together");
    }
}
