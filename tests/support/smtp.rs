//! Mail servers for tests: one that follows a script, with its faults; and a real one (aiosmtpd, fetched through pip).
//!
//! A script names what is done at a step (`greeting`, `EHLO`, `RCPT a@x.org`, `RCPT`, `DATA`, `.` ..) instead of the usual
//! answer. What each session said, and the mails that came whole, are kept.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What is done at a step.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Answers this line.
    Say(&'static str),
    /// Answers nothing, and waits.
    Hang,
    /// Closes the connection without an answer.
    Drop,
    /// Answers this line, then closes.
    SayAndDrop(&'static str),
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Starttls,
    Implicit,
    /// The server does not know it.
    None,
}

/// Which certificate is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Sound,
    Expired,
    WrongName,
    /// Of an issuer that nobody knows.
    Stranger,
}

/// What the servers take as login.
pub const USER: &str = "pgsteward";
pub const PASSWORD: &str = "hunter2 and more";

type Steps = &'static [(&'static str, Act)];
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What came in one session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Commands, in order.
    pub said: Vec<String>,
    /// The mail as it came over the wire, dots undone.
    pub mail: Option<String>,
}

/// A scripted server; gone with the runtime.
pub struct Scripted {
    pub port: u16,
    /// The authority that vouches for it.
    pub ca: tempfile::NamedTempFile,
    sessions: Arc<Mutex<Vec<Session>>>,
}

impl Scripted {
    pub async fn start(tls: Tls, shown: Shown, steps: Steps) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let papers = Papers::of(shown);
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        ca.write_all(papers.ca.as_bytes()).unwrap();
        let sessions: Arc<Mutex<Vec<Session>>> = Arc::default();
        let kept = sessions.clone();
        let acceptor = papers.acceptor();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let at = {
                    let mut all = kept.lock().unwrap();
                    all.push(Session::default());
                    all.len() - 1
                };
                let talk = Talk { tls, steps, acceptor: acceptor.clone(), sessions: kept.clone(), at };
                tokio::spawn(async move { talk.serve(stream).await });
            }
        });
        Self { port, ca, sessions }
    }

    pub fn sessions(&self) -> Vec<Session> {
        self.sessions.lock().unwrap().clone()
    }

    pub fn mails(&self) -> Vec<String> {
        self.sessions().into_iter().filter_map(|session| session.mail).collect()
    }
}

struct Talk {
    tls: Tls,
    steps: Steps,
    acceptor: TlsAcceptor,
    sessions: Arc<Mutex<Vec<Session>>>,
    at: usize,
}

impl Talk {
    async fn serve(self, stream: TcpStream) -> Option<()> {
        let plain: Box<dyn Wire> = match self.tls {
            Tls::Implicit => Box::new(self.acceptor.accept(stream).await.ok()?),
            _ => Box::new(stream),
        };
        let mut wire = BufReader::new(plain);
        self.answer(&mut wire, "greeting", "220 ready").await?;
        let mut encrypted = self.tls == Tls::Implicit;
        loop {
            let line = line(&mut wire).await?;
            self.note(&line);
            let verb = line.split_whitespace().next().unwrap_or_default().to_uppercase();
            match verb.as_str() {
                "EHLO" => self.answer(&mut wire, "EHLO", self.hello(encrypted)).await?,
                "STARTTLS" => {
                    self.answer(&mut wire, "STARTTLS", "220 go ahead").await?;
                    wire = BufReader::new(Box::new(self.acceptor.accept(wire.into_inner()).await.ok()?));
                    encrypted = true;
                }
                "AUTH" => self.answer(&mut wire, "AUTH", "235 welcome").await?,
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    let step = format!("RCPT {address}");
                    let step = if self.act(&step).is_some() { step } else { "RCPT".into() };
                    self.answer(&mut wire, &step, "250 recipient ok").await?;
                }
                "DATA" => {
                    self.answer(&mut wire, "DATA", "354 go on").await?;
                    if self.act("DATA").is_none() {
                        self.take(&mut wire).await?;
                        self.answer(&mut wire, ".", "250 2.0.0 queued as 42").await?;
                    }
                }
                "QUIT" => {
                    self.answer(&mut wire, "QUIT", "221 bye").await?;
                    return Some(());
                }
                other => self.answer(&mut wire, other, "250 ok").await?,
            }
        }
    }

    fn hello(&self, encrypted: bool) -> &'static str {
        match (self.tls, encrypted) {
            (Tls::Starttls, false) => "250-here\r\n250-8BITMIME\r\n250 STARTTLS",
            _ => "250-here\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
        }
    }

    fn act(&self, step: &str) -> Option<Act> {
        self.steps.iter().find(|(name, _)| *name == step).map(|(_, act)| *act)
    }

    fn note(&self, line: &str) {
        self.sessions.lock().unwrap()[self.at].said.push(line.into());
    }

    /// `None` when the connection is over.
    async fn answer(&self, wire: &mut BufReader<Box<dyn Wire>>, step: &str, usual: &str) -> Option<()> {
        let (text, goes_on) = match self.act(step) {
            None => (usual, true),
            Some(Act::Say(text)) => (text, true),
            Some(Act::SayAndDrop(text)) => (text, false),
            Some(Act::Drop) => return None,
            Some(Act::Hang) => std::future::pending().await,
        };
        wire.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        wire.flush().await.ok()?;
        goes_on.then_some(())
    }

    async fn take(&self, wire: &mut BufReader<Box<dyn Wire>>) -> Option<()> {
        let mut mail = String::new();
        loop {
            let line = line(wire).await?;
            if line == "." {
                self.sessions.lock().unwrap()[self.at].mail = Some(mail);
                return Some(());
            }
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.push_str("\r\n");
        }
    }
}

async fn line(wire: &mut BufReader<Box<dyn Wire>>) -> Option<String> {
    let mut line = String::new();
    let read = wire.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches("\r\n").to_string())
}

/// Certificate, key, and the authority that one is told to trust, as PEM.
pub struct Papers {
    pub certificate: String,
    pub key: KeyPair,
    pub ca: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Papers {
    pub fn of(shown: Shown) -> Self {
        let name = if shown == Shown::WrongName { "elsewhere.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new([name.to_string()]).unwrap();
        if shown == Shown::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        }
        let (signer, other) = (authority("signer"), authority("other"));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &signer).unwrap();
        let ca = if shown == Shown::Stranger { other.pem() } else { signer.pem() };
        Self { certificate: certificate.pem(), key, ca, der: certificate.der().clone() }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        Arc::new(config).into()
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A running aiosmtpd that wants STARTTLS on one port and TLS on another, and a login on both.
pub struct Aiosmtpd {
    pub starttls: u16,
    pub implicit: u16,
    pub ca: PathBuf,
    child: Child,
    folder: tempfile::TempDir,
}

impl Aiosmtpd {
    /// `None`, and a line that says so, where there is no Python with pip.
    pub fn start() -> Option<Self> {
        let packages = match packages() {
            Ok(packages) => packages,
            Err(why) => {
                // Not by `eprintln!`, which a test that passes keeps to itself.
                let skipped = format!("\nSKIPPED: mails to a real server, since aiosmtpd cannot be had: {why}\n");
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let papers = Papers::of(Shown::Sound);
        let ca = file("ca.pem", &papers.ca);
        let (certificate, key) = (file("server.pem", &papers.certificate), file("server.key", &papers.key.serialize_pem()));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/smtpd.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(folder.path().join("mail")).arg(certificate).arg(key).args([USER, PASSWORD]);
        let mut child = command.env("PYTHONPATH", packages).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let ports: Vec<u16> = told.split_whitespace().map(|port| port.parse().unwrap()).collect();
        let [starttls, implicit] = ports[..] else { panic!("the server says `{told}`") };
        Some(Self { starttls, implicit, ca, child, folder })
    }

    /// The mails that were delivered, oldest first.
    pub fn mails(&self) -> Vec<String> {
        let new = self.folder.path().join("mail/new");
        let mut files: Vec<PathBuf> = std::fs::read_dir(new).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The folder of the Python packages, filled first where it is not there.
fn packages() -> Result<PathBuf, String> {
    let cache = || directories::ProjectDirs::from("", "", "pgsteward").unwrap().cache_dir().join("plugin-tools");
    let tools = std::env::var_os("PGSTEWARD_TOOLS").map_or_else(cache, PathBuf::from);
    std::fs::create_dir_all(&tools).map_err(|e| e.to_string())?;
    let turn = std::fs::File::create(tools.join("aiosmtpd.lock")).map_err(|e| e.to_string())?;
    turn.lock().map_err(|e| e.to_string())?;
    let place = tools.join("aiosmtpd-1.4.6");
    if !place.is_dir() {
        let staging = tempfile::tempdir_in(&tools).map_err(|e| e.to_string())?;
        let root = staging.path().join("packages");
        let quiet = ["--quiet", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--timeout", "60"];
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install"]).args(quiet).arg("--target").arg(&root).arg("aiosmtpd==1.4.6");
        let output = pip.output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        std::fs::rename(&root, &place).map_err(|e| e.to_string())?;
    }
    Ok(place)
}
