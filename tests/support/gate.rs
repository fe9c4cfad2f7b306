//! A gate before a server: bytes pass until the client says a certain word; from then on that connection waits until the
//! gate is opened. So a test knows that something is under way, and for how long it stays so.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// It ends with the test's runtime.
pub struct Gate {
    pub port: u16,
    waits: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Before that port of this machine; closed by that word.
    pub async fn before(server: u16, word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((waiting, waits), (open, opened)) = (watch::channel(false), watch::channel(false));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(("127.0.0.1", server)).await.unwrap().into_split();
                tokio::spawn(pass(from_client, to_server, word, waiting.clone(), opened.clone()));
                tokio::spawn(async move { drop(copy(&mut { from_server }, &mut { to_client }).await) });
            }
        });
        Self { port, waits, open }
    }

    /// Until somebody waits at the gate.
    pub async fn is_waited_at(&mut self) {
        let waits = self.waits.wait_for(|waits| *waits);
        tokio::time::timeout(Duration::from_secs(60), waits).await.unwrap().unwrap();
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

/// `None` when the connection ends.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    word: &str,
    waiting: watch::Sender<bool>,
    mut open: watch::Receiver<bool>,
) -> Option<()> {
    let (mut said, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let read = from.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        let new = bytes.get(..read)?;
        said.extend_from_slice(new);
        if said.windows(word.len()).any(|part| part == word.as_bytes()) {
            waiting.send_replace(true);
            open.wait_for(|open| *open).await.ok()?;
        }
        // The word may come in two pieces.
        said.drain(..said.len().saturating_sub(word.len()));
        to.write_all(new).await.ok()?;
    }
}
