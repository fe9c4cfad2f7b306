//! An HTTP proxy: tunnels by CONNECT, passes on plain requests, or refuses as a test tells it to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// It ends with the test's runtime.
pub struct Proxy {
    /// `127.0.0.1:1234`.
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that answers what `refuse` says of a request's head, and lets pass where that is nothing.
    pub async fn start(refuse: fn(&str) -> Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = heads.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, kept.clone(), refuse));
            }
        });
        Self { address, heads }
    }

    /// Request lines and headers of what came so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// `None` when one side is gone.
async fn serve(mut client: TcpStream, heads: Arc<Mutex<Vec<String>>>, refuse: fn(&str) -> Option<&'static str>) -> Option<()> {
    let mut came = Vec::new();
    while !came.windows(4).any(|end| end == b"\r\n\r\n") {
        client.read_buf(&mut came).await.ok().filter(|read| *read > 0)?;
    }
    let head = String::from_utf8_lossy(&came).split("\r\n\r\n").next()?.to_string();
    heads.lock().unwrap().push(head.clone());
    if let Some(answer) = refuse(&head) {
        client.write_all(answer.as_bytes()).await.ok()?;
        return client.shutdown().await.ok();
    }
    let asked = head.split(' ').nth(1)?;
    let mut server = TcpStream::connect(asked.trim_start_matches("http://").split('/').next()?).await.ok()?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    } else {
        server.write_all(&came).await.ok()?;
    }
    copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
