//! Stand-ins for a mail relay and for chat and paging services on this machine: they take everything, and say what came.
//! For trying channels out with nothing installed and nobody disturbed. They listen on loopback only.
//!
//! SMTP knows the words that a client without login needs; HTTP answers each service's path as that service would.
//! Deliberately absent: TLS, logins, and anything that could pass a message on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Largest message in bytes.
const MOST: usize = 10 << 20;
/// Longest line of a protocol in bytes.
const LINE: u64 = 16 << 10;
/// How long a client may keep quiet.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caught {
    /// A mail: recipients, and the message as it came.
    Mail {
        /// Recipients.
        to: Vec<String>,
        /// Headers and body.
        text: String,
    },
    /// A request: path without its query, and body.
    Request {
        /// Path.
        path: String,
        /// Body.
        body: String,
    },
}

/// Who is told of what came.
pub type Tell = Arc<dyn Fn(Caught) + Send + Sync>;

/// Listeners on loopback; port 0 takes a free one.
#[derive(Debug)]
pub struct Catcher {
    smtp: TcpListener,
    http: TcpListener,
}

impl Catcher {
    /// Opens both ports.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn bind(smtp: u16, http: u16) -> std::io::Result<Self> {
        Ok(Self {
            smtp: TcpListener::bind((Ipv4Addr::LOCALHOST, smtp)).await?,
            http: TcpListener::bind((Ipv4Addr::LOCALHOST, http)).await?,
        })
    }

    /// Where mail and requests go.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.smtp.local_addr()?, self.http.local_addr()?))
    }

    /// Takes what comes, for ever.
    pub async fn run(self, tell: Tell) {
        tokio::join!(serve(self.smtp, tell.clone(), Kind::Mail), serve(self.http, tell, Kind::Http));
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Mail,
    Http,
}

async fn serve(listener: TcpListener, tell: Tell, kind: Kind) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: the next one may find room.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let tell = tell.clone();
        tokio::spawn(async move {
            let talked = match kind {
                Kind::Mail => mail(stream, &tell).await,
                Kind::Http => http(stream, &tell).await,
            };
            if let Err(error) = talked {
                tracing::debug!(%error, "a client went away");
            }
        });
    }
}

/// One line without its end; `None` when the client is gone, silent for too long, or says too much.
async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = AsyncReadExt::take(&mut *stream, LINE);
    let read = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut bytes)).await.unwrap_or(Ok(0))?;
    if read == 0 || bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_string()))
}

async fn mail(stream: TcpStream, tell: &Tell) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut to: Vec<String> = Vec::new();
    stream.write_all(b"220 localhost pgsteward stand-in\r\n").await?;
    while let Some(said) = line(&mut stream).await? {
        let word = said.get(..4).unwrap_or(&said).to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-localhost\r\n250-8BITMIME\r\n250 SIZE 10485760",
            "RCPT" => {
                to.push(said.split(['<', '>']).nth(1).unwrap_or_default().to_string());
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 end with a dot\r\n").await?;
                match data(&mut stream).await? {
                    None => "552 too large",
                    Some(text) => {
                        tell(Caught::Mail { to: std::mem::take(&mut to), text });
                        "250 taken by the stand-in"
                    }
                }
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                break;
            }
            "RSET" => {
                to.clear();
                "250 ok"
            }
            "HELO" | "MAIL" | "NOOP" => "250 ok",
            _ => "502 not known here",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\r\n").await?;
    }
    Ok(())
}

/// A message up to its dot; `None` when it is too large.
async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    while let Some(said) = line(stream).await? {
        if said == "." {
            return Ok((text.len() <= MOST).then_some(text));
        }
        if text.len() <= MOST {
            text.push_str(said.strip_prefix('.').unwrap_or(&said));
            text.push('\n');
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

async fn http(stream: TcpStream, tell: &Tell) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(first) = line(&mut stream).await? {
        let path = first.split([' ', '?']).nth(1).unwrap_or("/").to_string();
        let mut length = 0;
        while let Some(header) = line(&mut stream).await?.filter(|header| !header.is_empty()) {
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(usize::MAX);
            }
        }
        if length > MOST {
            return stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        }
        let mut body = vec![0; length];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut body)).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
        let (status, answer) = answer(&path);
        tell(Caught::Request { path, body: String::from_utf8_lossy(&body).into_owned() });
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(head.as_bytes()).await?;
    }
    Ok(())
}

/// What the service of a path says when it has taken something.
fn answer(path: &str) -> (&'static str, &'static str) {
    match path {
        "/v2/enqueue" => ("202 Accepted", r#"{"status":"success","message":"Event processed","dedup_key":"stand-in"}"#),
        path if path.starts_with("/api/chat.") => ("200 OK", r#"{"ok":true,"channel":"C0STANDIN","ts":"1700000000.000100"}"#),
        path if path.starts_with("/slack") || path.starts_with("/services/") => ("200 OK", "ok"),
        path if path.starts_with("/discord") => ("200 OK", r#"{"id":"1"}"#),
        _ => ("200 OK", "{}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What a client that says this hears, and what was caught.
    async fn talk(to_mail: bool, says: &str) -> (String, Vec<Caught>) {
        let catcher = Catcher::bind(0, 0).await.unwrap();
        let (smtp, http) = catcher.addresses().unwrap();
        let caught = Arc::new(Mutex::new(Vec::new()));
        let kept = caught.clone();
        tokio::spawn(catcher.run(Arc::new(move |one| kept.lock().unwrap().push(one))));
        let mut client = TcpStream::connect(if to_mail { smtp } else { http }).await.unwrap();
        client.write_all(says.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        let all = caught.lock().unwrap().clone();
        (heard, all)
    }

    #[tokio::test]
    async fn a_mail_is_taken_with_its_dots() {
        let says = "EHLO me\r\nMAIL FROM:<pg@corp>\r\nRCPT TO:<dba@corp>\r\nRCPT TO:<ops@corp>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n";
        let (heard, caught) = talk(true, says).await;
        assert!(heard.ends_with("354 end with a dot\r\n250 taken by the stand-in\r\n221 bye\r\n"), "{heard}");
        let to = vec!["dba@corp".to_string(), "ops@corp".into()];
        assert_eq!(caught, [Caught::Mail { to, text: "Subject: x\n\n.dot\n".into() }]);
    }

    #[tokio::test]
    async fn requests_on_one_connection_are_answered_as_their_service_would() {
        let post = |path: &str, body: &str| format!("POST {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (heard, caught) = talk(false, &[post("/slack?x=1", "{}"), post("/v2/enqueue", "[1]")].concat()).await;
        assert!(heard.contains("\r\n\r\nok") && heard.contains("202 Accepted"), "{heard}");
        let request = |path: &str, body: &str| Caught::Request { path: path.into(), body: body.into() };
        assert_eq!(caught, [request("/slack", "{}"), request("/v2/enqueue", "[1]")]);
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_is_not_taken() {
        let (heard, caught) = talk(false, "POST /slack HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").await;
        assert!(heard.starts_with("HTTP/1.1 413"), "{heard}");
        assert_eq!(caught, []);
        let (_, caught) = talk(true, "DATA\r\nhalf").await;
        assert_eq!(caught, []);
    }
}
