//! One mail over SMTP: connect, encrypt, log in, name the recipients, hand over. What the server answers to the end of
//! the data decides; what comes after that, QUIT included, does not. A recipient who is refused costs the others nothing.

use std::error::Error as _;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use rustls::CertificateError;

use super::Ready;
use super::settings::{Login, Smtp, Tls};
use crate::deliver::{Receipt, SendError, render::cut};
use crate::env::Env;
use crate::text::safe;

/// How long one address of the server may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the farewell may take; the mail is on its way by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// A file of certificates is not longer.
const MAX_CA_BYTES: u64 = 4 << 20;
/// Characters of an answer that are kept.
const SAID_CHARS: usize = 300;

pub(super) async fn send(smtp: &Smtp, limit: Duration, mail: &Ready, env: &Env) -> Result<Receipt, SendError> {
    let late = || SendError::retryable(format!("the mail server `{}` did not take the mail within {} s", smtp.host, limit.as_secs()));
    tokio::time::timeout(limit, deliver(smtp, mail, env)).await.map_err(|_| late())?
}

async fn deliver(smtp: &Smtp, mail: &Ready, env: &Env) -> Result<Receipt, SendError> {
    let mut session = open(smtp).await?;
    if let Some(login) = &smtp.login {
        log_in(smtp, &mut session, login, env).await?;
    }
    let failed = |step| move |error: Error| class(smtp, step, &error);
    session.command(Mail::new(mail.envelope.from().cloned(), vec![])).await.map_err(failed(Step::Sender))?;
    let refused = recipients(smtp, &mut session, &mail.envelope).await?;
    session.command(Data).await.map_err(failed(Step::Data))?;
    let taken = session.message(&mail.bytes).await.map_err(failed(Step::Data))?;
    let text = format!("{} {}", taken.code(), tidy(taken.first_line().unwrap_or_default()));
    // Whatever becomes of it: the mail is taken.
    drop(tokio::time::timeout(QUIT_TIMEOUT, session.quit()).await);
    Ok(Receipt::new(if refused.is_empty() { text } else { format!("{text}; refused: {}", refused.join(", ")) }))
}

async fn open(smtp: &Smtp) -> Result<AsyncSmtpConnection, SendError> {
    let tls = || parameters(smtp).map_err(|why| SendError::retryable(format!("the mail server `{}` is not asked: {why}", smtp.host)));
    let implicit = if smtp.tls == Tls::Implicit { Some(tls()?) } else { None };
    let (address, hello) = ((smtp.host.as_str(), smtp.port), hello(smtp));
    let opened = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_TIMEOUT), &hello, implicit, None).await;
    let mut session = opened.map_err(|error| class(smtp, Step::Connection, &error))?;
    if smtp.tls == Tls::Starttls {
        if !session.can_starttls() {
            let mend = "set `tls: implicit` (mostly port 465), or ask who runs it";
            return Err(SendError::retryable(format!("the mail server `{}` offers no STARTTLS; {mend}", smtp.host)));
        }
        session.starttls(tls()?, &hello).await.map_err(|error| class(smtp, Step::Connection, &error))?;
    }
    Ok(session)
}

fn hello(smtp: &Smtp) -> ClientId {
    let is_name = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    smtp.hello.clone().or_else(|| whoami::hostname().ok().filter(is_name)).map_or_else(ClientId::default, ClientId::Domain)
}

/// The certificates that are trusted, read anew each time, so that renewed ones are seen.
fn parameters(smtp: &Smtp) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca {
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates(path)?);
    }
    builder.build_rustls().map_err(|e| format!("its TLS cannot be set up: {}", tidy(&e.to_string())))
}

fn certificates(path: &Path) -> Result<Certificate, String> {
    let mut pem = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut pem));
    read.map_err(|e| format!("the certificates `{}` cannot be read: {e}", path.display()))?;
    if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
        return Err(format!("`{}` has no certificate in it", path.display()));
    }
    Certificate::from_pem(&pem).map_err(|_| format!("`{}` holds a certificate that cannot be read", path.display()))
}

async fn log_in(smtp: &Smtp, session: &mut AsyncSmtpConnection, login: &Login, env: &Env) -> Result<(), SendError> {
    let revealed = login.password.reveal(env).await;
    let password = revealed.map_err(|e| SendError::no_secret("password", &e))?;
    let credentials = Credentials::new(login.user.clone(), password.expose().to_string());
    let logged_in = session.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
    logged_in.map(drop).map_err(|error| class(smtp, Step::Login, &error))
}

/// Names the recipients; those who were refused, each with the reason. An error when nobody is left.
async fn recipients(smtp: &Smtp, session: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<Vec<String>, SendError> {
    let mut refused = Vec::new();
    let mut worst: Option<SendError> = None;
    for address in envelope.to() {
        let Err(error) = session.command(Rcpt::new(address.clone(), vec![])).await else { continue };
        let classed = class(smtp, Step::Recipient, &error);
        let Some(code) = error.status() else { return Err(classed) };
        refused.push(format!("{address} ({code} {})", said(&error)));
        // Of several reasons the one that may pass: then all are tried again.
        if worst.is_none() || matches!(classed, SendError::Retryable { .. }) {
            worst = Some(classed);
        }
    }
    match worst {
        Some(error) if refused.len() == envelope.to().len() => Err(error),
        _ => Ok(refused),
    }
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connection,
    Login,
    Sender,
    Recipient,
    Data,
}

impl Step {
    fn phrase(self) -> &'static str {
        match self {
            Self::Connection => "at the connection",
            Self::Login => "at the login",
            Self::Sender => "to the sender",
            Self::Recipient => "to the recipient",
            Self::Data => "to the mail",
        }
    }
}

/// Whether it may work later. An answer before the login is about us and the server and not about this mail, so it never
/// makes a mail undeliverable.
fn class(smtp: &Smtp, step: Step, error: &Error) -> SendError {
    let host = &smtp.host;
    let Some(code) = error.status() else { return broken(smtp, step, error) };
    let detail = format!("the mail server `{host}` answered {code} {}: {}", step.phrase(), said(error));
    match (u16::from(code), step) {
        (530 | 534 | 535 | 538, _) | (500.., Step::Login) => SendError::Auth { detail },
        (500.., Step::Sender | Step::Recipient | Step::Data) => SendError::Permanent { detail },
        _ => SendError::retryable(detail),
    }
}

/// No answer, or none that can be understood.
fn broken(smtp: &Smtp, step: Step, error: &Error) -> SendError {
    let host = &smtp.host;
    if step == Step::Login && error.is_client() {
        return SendError::Auth { detail: format!("the mail server `{host}` offers no login by PLAIN or LOGIN") };
    }
    if let Some(reason) = certificate_error(error) {
        return SendError::retryable(format!("the mail server `{host}` has a certificate that is not trusted: {}", mend(reason)));
    }
    let said = tidy(&error.source().map_or_else(|| error.to_string(), ToString::to_string));
    let hint = if step == Step::Connection {
        format!("; look at `host`, `port` ({}) and `tls`, and whether it runs", smtp.port)
    } else {
        String::new()
    };
    SendError::retryable(format!("the mail server `{host}` broke off {}: {said}{hint}", step.phrase()))
}

/// What TLS found wrong with the certificate, from under the layers of errors around it.
fn certificate_error(error: &Error) -> Option<&CertificateError> {
    let mut layer: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(this) = layer {
        if let Some(rustls::Error::InvalidCertificate(reason)) = this.downcast_ref() {
            return Some(reason);
        }
        // The source of an I/O error is not what it wraps, but the source of that.
        let wrapped = this.downcast_ref().and_then(std::io::Error::get_ref);
        layer = wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| this.source());
    }
    None
}

fn mend(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "its issuer is unknown here; set `ca` to the file with the issuer's certificate".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired; who runs the server must renew it".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name; set `host` to the name that stands in it".into()
        }
        other => tidy(&other.to_string()),
    }
}

/// What the server said, without the code.
fn said(error: &Error) -> String {
    tidy(&error.source().map(ToString::to_string).unwrap_or_default())
}

fn tidy(text: &str) -> String {
    safe(&cut(text.trim(), SAID_CHARS))
}
