//! A receiver that does what a test tells it to: answers, resets, hangs, drips, and shows bad certificates.
//!
//! Raw TCP, since no HTTP server misbehaves on purpose. It counts connections and keeps every request that came whole.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the receiver does with a request, or with a connection before one.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes this and keeps the connection.
    Answer(Vec<u8>),
    /// Writes this and closes, as a server does whose patience with idle connections is over.
    Close(Vec<u8>),
    /// Writes this, then resets the connection.
    Reset(Vec<u8>),
    /// Never says a word.
    Hang,
    /// Writes this a byte at a time, slower than anybody waits.
    Drip(Vec<u8>),
}

/// Which certificate it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// None: plain HTTP.
    Plain,
    /// One that is sound.
    Sound,
    /// One that ended in 2001.
    Expired,
    /// One for `elsewhere.example`.
    WrongName,
    /// One whose authority nobody knows.
    Stranger,
    /// A sound one, and it wants one of ours by the same authority.
    Demanding {
        /// Over TLS 1.2, in which it says so before we send.
        old: bool,
    },
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Request line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Script = Arc<dyn Fn(&Request) -> Act + Send + Sync>;

/// The receiver; it ends with the test's runtime.
pub struct Receiver {
    /// `http://127.0.0.1:1234`.
    pub address: String,
    /// The file with its authority, for `ca`.
    pub ca: Option<PathBuf>,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
    folder: tempfile::TempDir,
}

impl Receiver {
    /// One that does the same with every request.
    pub async fn always(act: Act) -> Self {
        Self::start(Tls::Plain, move |_| act.clone()).await
    }

    /// One that decides by the request.
    pub async fn start(tls: Tls, script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (acceptor, authority) = certificates(tls, folder.path()).map_or((None, None), |(acceptor, pem)| (Some(acceptor), Some(pem)));
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let ca = authority.map(|pem| {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, pem).unwrap();
            path
        });
        let receiver = Self {
            address: format!("{scheme}://{}", listener.local_addr().unwrap()),
            ca,
            requests: Arc::default(),
            connections: Arc::default(),
            folder,
        };
        let (requests, connections, script): (_, _, Script) = (receiver.requests.clone(), receiver.connections.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                let (requests, script, acceptor) = (requests.clone(), script.clone(), acceptor.clone());
                // A client that goes away in the middle is what many of these tests are about.
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => match acceptor.accept(stream).into_fallible().await {
                            Ok(stream) => talk(stream, &requests, &script).await,
                            Err((_, stream)) => linger(stream).await,
                        },
                        None => plain(stream, &requests, &script).await,
                    }
                });
            }
        });
        receiver
    }

    /// The settings for a certificate of ours: `known`, `stranger`, `expired`.
    pub fn ours(&self, name: &str) -> String {
        let path = |ending| self.folder.path().join(format!("{name}.{ending}")).display().to_string();
        format!("cert: {}, key: {}", path("pem"), path("key"))
    }

    /// Puts one of them into the place of another.
    pub fn renew(&self, old: &str, new: &str) {
        for ending in ["pem", "key"] {
            let [old, new] = [old, new].map(|name| self.folder.path().join(format!("{name}.{ending}")));
            std::fs::copy(new, old).unwrap();
        }
    }

    /// The requests that came whole so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// A port on which nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An answer with a body of that length.
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut whole = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    whole.extend_from_slice(body);
    whole
}

/// A connection without TLS; one that is to be reset is reset by the system when it is dropped.
async fn plain(mut stream: TcpStream, requests: &Mutex<Vec<Request>>, script: &Script) -> io::Result<bool> {
    let reset = talk(&mut stream, requests, script).await?;
    if reset {
        stream.set_zero_linger()?;
    }
    Ok(reset)
}

/// Serves one connection; whether it is to be reset.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: S, requests: &Mutex<Vec<Request>>, script: &Script) -> io::Result<bool> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = request(&mut stream).await? {
        requests.lock().unwrap().push(request.clone());
        match script(&request) {
            Act::Answer(bytes) => stream.write_all(&bytes).await?,
            Act::Close(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                return Ok(false);
            }
            Act::Reset(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                return Ok(true);
            }
            Act::Hang => std::future::pending().await,
            Act::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        stream.flush().await?;
    }
    Ok(false)
}

/// The next request; `None` at the end of the connection.
async fn request<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<Request>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line.trim_end().split_once(':').unwrap_or((line.trim_end(), ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&format!("{}:{value}\n", name.to_lowercase()));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { head, body: String::from_utf8(body).unwrap() }))
}

/// Says no more and hears the client out: a connection that is closed over unread words is reset, and the client would not
/// hear why it was refused.
async fn linger(mut stream: TcpStream) -> io::Result<bool> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(|_| false)
}

/// An acceptor with such a certificate, and the authority that a client is told of, as PEM.
fn certificates(tls: Tls, folder: &Path) -> Option<(tokio_rustls::TlsAcceptor, String)> {
    let name = match tls {
        Tls::Plain => return None,
        Tls::WrongName => "elsewhere.example",
        _ => "127.0.0.1",
    };
    let (signer, known) = (authority(), authority());
    let mut params = CertificateParams::new([name.to_string()]).unwrap();
    if tls == Tls::Expired {
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &signer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if tls == (Tls::Demanding { old: true }) { &[&rustls::version::TLS12] } else { rustls::DEFAULT_VERSIONS };
    let config = rustls::ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let config = if matches!(tls, Tls::Demanding { .. }) {
        for (name, signer, until) in [("known", &signer, 2_100), ("expired", &signer, 2_001), ("stranger", &known, 2_100)] {
            ours(&folder.join(name), signer, until);
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(signer.der().clone()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    let config = config
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    let told = if tls == Tls::Stranger { known.pem() } else { signer.pem() };
    Some((Arc::new(config).into(), told))
}

/// Writes a certificate for a client and its key.
fn ours(path: &Path, signer: &CertifiedIssuer<'_, KeyPair>, until: i32) {
    let mut params = CertificateParams::new(vec!["pgsteward".to_string()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    std::fs::write(path.with_extension("pem"), params.signed_by(&key, signer).unwrap().pem()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path.with_extension("key")).unwrap(), key.serialize_pem().as_bytes()).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    // Two authorities of one name would be told apart by a failed signature only.
    let name: String = key.public_key_raw().iter().map(|byte| format!("{byte:02x}")).take(20).collect();
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {name}"));
    CertifiedIssuer::self_signed(params, key).unwrap()
}
