//! The connection: rustls with ring, the system's certificates or those of `ca`, our own certificate where there is one;
//! one proxy, of the setting or of `HTTPS_PROXY` and `NO_PROXY`. Connections are kept open between messages.
//!
//! No redirects: a signed or secret message goes where it was meant to, or nowhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy, Url, redirect, retry};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::HttpSettings;
use crate::deliver::SendError;
use crate::env::Env;
use crate::secret::others_may_read;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections that are kept open for the next message.
const IDLE: usize = 4;

/// A client by those settings. Certificates are read now.
pub(super) fn build(settings: &HttpSettings, env: &Env, proxy: Option<Url>) -> Result<Client, SendError> {
    let timeout = Duration::from_secs(settings.timeout_s);
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .user_agent(concat!("pgsteward/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .pool_max_idle_per_host(IDLE);
    if let Some(proxy) = of_setting_or_env(env, proxy)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|e| SendError::retryable(format!("the HTTP client cannot be made: {}", e.without_url())))
}

fn of_setting_or_env(env: &Env, proxy: Option<Url>) -> Result<Option<Proxy>, SendError> {
    let wrong = |what: &str| SendError::Auth { detail: format!("the proxy of {what} is no address to send through") };
    if let Some(url) = proxy {
        return Proxy::all(url).map(Some).map_err(|_| wrong("the setting `proxy`"));
    }
    let either = |upper: &str, lower: &str| env.get(upper).or_else(|| env.get(lower));
    let Some(url) = either("HTTPS_PROXY", "https_proxy") else { return Ok(None) };
    let not_for = either("NO_PROXY", "no_proxy").and_then(|list| NoProxy::from_string(&list));
    Proxy::https(url.as_str()).map(|proxy| Some(proxy.no_proxy(not_for))).map_err(|_| wrong("`HTTPS_PROXY`"))
}

fn tls(settings: &HttpSettings) -> Result<ClientConfig, SendError> {
    let refused = |e: rustls::Error| SendError::retryable(format!("the certificates cannot be used: {e}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(refused)?;
    let config = config.with_root_certificates(roots(settings.ca.as_deref())?);
    match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => config.with_client_auth_cert(certificates("cert", cert)?, private_key(key)?).map_err(refused),
        _ => Ok(config.with_no_client_auth()),
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, SendError> {
    let mut roots = RootCertStore::empty();
    let certificates = match ca {
        Some(path) => certificates("ca", path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(certificates);
    Ok(roots)
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SendError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, PemError>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(setting, path, "no certificate stands in it")),
        Err(error) => Err(unusable(setting, path, &error.to_string())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SendError> {
    if others_may_read(path) {
        return Err(unusable("key", path, "others may read it; run `chmod 0600` on it"));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable("key", path, &error.to_string()))
}

/// A file may be put right at any time, and is read anew each time until then.
fn unusable(setting: &'static str, path: &Path, why: &str) -> SendError {
    SendError::Unready { setting, detail: format!("the file `{}` of `{setting}` cannot be used: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: &HttpSettings, env: &Env) -> Option<String> {
        build(settings, env, None).err().map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_work_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let ca = HttpSettings { ca: Some(empty.clone()), ..HttpSettings::default() };
        let env = Env::of([]);
        assert_eq!(
            refused(&ca, &env).unwrap(),
            format!("the file `{}` of `ca` cannot be used: no certificate stands in it", empty.display())
        );
        let gone = HttpSettings { ca: Some("/no/such.pem".into()), ..HttpSettings::default() };
        assert!(refused(&gone, &env).unwrap().starts_with("the file `/no/such.pem` of `ca` cannot be used: "));
        assert_eq!(refused(&HttpSettings::default(), &env), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["a".to_string()]).unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let settings = HttpSettings { cert: Some(cert), key: Some(key.clone()), ..HttpSettings::default() };
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refused(&settings, &Env::of([])).unwrap().ends_with("others may read it; run `chmod 0600` on it"));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(refused(&settings, &Env::of([])), None);
    }

    #[test]
    fn a_proxy_that_is_none_is_said_without_quoting_it() {
        let error = refused(&HttpSettings::default(), &Env::of([("HTTPS_PROXY", "http://user:hunter2@:99999")])).unwrap();
        assert_eq!(error, "the proxy of `HTTPS_PROXY` is no address to send through");
    }
}
