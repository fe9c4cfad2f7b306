//! A real Alertmanager: Debian's package, fetched through `apt-get` as a user would, unpacked into the cache folder and
//! started on a free port. It looks for its templates below `/usr/share`, so it runs in a namespace of its own in which
//! the package's folder lies there. A machine without apt, the package or namespaces skips, and says why.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::debian;

/// The package, and the program in it.
const PACKAGE: &str = "prometheus-alertmanager";
const PROGRAM: &str = "usr/bin/prometheus-alertmanager";
/// Lays the folder `$0` over `/usr/share`, where only the program behind it sees it.
const OVER_SHARE: &str = "mount --bind \"$0\" /usr/share && exec \"$@\"";

/// One that runs; it ends with the test.
pub struct Alertmanager {
    /// `http://127.0.0.1:1234`.
    pub address: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended by itself.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Alertmanager {
    /// Starts one; `None` where there is none to be had.
    pub async fn start() -> Option<Self> {
        let package = match package() {
            Ok(package) => package,
            Err(why) => {
                eprintln!("skipped: no Alertmanager on this machine: {why}");
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("am.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("unshare")
            .args(["-rm", "sh", "-c", OVER_SHARE])
            .args([package.join("usr/share"), package.join(PROGRAM)])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { address: format!("http://127.0.0.1:{port}"), child, _folder: folder };
        started.ready().await;
        Some(started)
    }

    async fn ready(&self) {
        for _ in 0..300 {
            if self.get("/-/ready").await.is_some_and(|answer| answer.starts_with("HTTP/1.0 200")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the Alertmanager did not start within 30 s");
    }

    /// What it holds open, as its API says.
    pub async fn alerts(&self) -> Vec<serde_json::Value> {
        let answer = self.get("/api/v2/alerts").await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        serde_json::from_str(body).unwrap()
    }

    /// HTTP/1.0, so that the body comes in one piece and ends with the connection.
    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address.strip_prefix("http://")?).await.ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }
}

/// The folder with the package's tree, fetched first if it is not there.
fn package() -> Result<PathBuf, String> {
    debian::run(Command::new("unshare").args(["-rm", "true"]))?;
    debian::tree("alertmanager", &[PACKAGE], PROGRAM)
}
