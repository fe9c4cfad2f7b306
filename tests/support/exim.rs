//! A real mail server: Debian's Exim, unpacked into the cache folder and started on two free ports. It insists on a user of
//! its own, so it runs in a mount namespace in which `/etc/passwd` has one; that takes root. Who is not root, or has no apt or
//! not its libraries, skips, and says why.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::debian;
use super::smtp::{PASSWORD, Papers, Shown, USER};

const PACKAGES: [&str; 3] = ["exim4-daemon-light", "libgnutls-dane0", "libidn12"];
const PROGRAM: &str = "usr/sbin/exim4";
/// Runs what follows with the files of users and groups in the folder `$0`.
const WITH_USERS: &str = "mount --bind \"$0/passwd\" /etc/passwd && mount --bind \"$0/group\" /etc/group && exec \"$@\"";
/// Nobody's number on a usual machine.
const UID: u32 = 61_183;

/// One that wants a login, with STARTTLS on one port and TLS on another; it ends with the test.
pub struct Exim {
    pub starttls: u16,
    pub implicit: u16,
    pub ca: PathBuf,
    child: Child,
    place: Place,
}

/// Its program and its files.
struct Place {
    tree: PathBuf,
    folder: tempfile::TempDir,
}

impl Place {
    fn command(&self, args: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", WITH_USERS]).arg(folder).arg(self.tree.join(PROGRAM)).arg("-C").arg(folder.join("exim.conf"));
        command.args(args).env("LD_LIBRARY_PATH", self.tree.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)));
        command
    }
}

impl Exim {
    /// `None`, and a line that says so, where there is none to be had.
    pub fn start() -> Option<Self> {
        Self::try_start()
            .inspect_err(|why| {
                // Not by `eprintln!`, which a test that passes keeps to itself.
                let skipped = format!("\nSKIPPED: mails to Exim, which cannot be had here: {why}\n");
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            })
            .ok()
    }

    fn try_start() -> Result<Self, String> {
        debian::run(Command::new("unshare").args(["-m", "true"]))?;
        let tree = debian::tree("exim", &PACKAGES, PROGRAM)?;
        let place = Place { tree, folder: tempfile::tempdir().unwrap() };
        let folder = place.folder.path();
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [starttls, implicit] = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
        drop(free);
        let ca = furnish(folder, starttls, implicit);
        debian::run(&mut place.command(&["-bV"]))?;
        let mut child = place.command(&["-bdf"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for port in [starttls, implicit] {
            let mut tries = (0..200).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
            let answers = tries.any(|answers| {
                if !answers {
                    std::thread::sleep(Duration::from_millis(50));
                }
                answers
            });
            assert!(answers, "Exim did not start within 10 s: {:?}", child.try_wait());
        }
        Ok(Self { starttls, implicit, ca, child, place })
    }

    /// The mails in its spool, whole.
    pub fn mails(&self) -> Vec<String> {
        let spool = std::fs::read_dir(self.place.folder.path().join("spool/input")).unwrap();
        let ids = spool.flatten().filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix("-H")?.to_string()));
        let read = |id: String| String::from_utf8(self.place.command(&["-Mvc", &id]).output().unwrap().stdout).unwrap();
        ids.map(read).collect()
    }
}

/// Writes its config, certificate, users and spool; the file with the authority.
fn furnish(folder: &Path, starttls: u16, implicit: u16) -> PathBuf {
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        mode(&path, 0o644);
        path
    };
    mode(folder, 0o755);
    std::fs::create_dir(folder.join("spool")).unwrap();
    chown(folder.join("spool"), Some(UID), Some(UID)).unwrap();
    let here = |name: &str| std::fs::read_to_string(Path::new("/etc").join(name)).unwrap();
    file("passwd", &format!("Debian-exim:x:{UID}:{UID}::/:/bin/false\n{}", here("passwd")));
    file("group", &format!("Debian-exim:x:{UID}:\n{}", here("group")));
    let papers = Papers::of(Shown::Sound);
    file("server.pem", &papers.certificate);
    file("server.key", &papers.key.serialize_pem());
    let config = include_str!("exim.conf").replace("FOLDER", &folder.display().to_string());
    let config = config.replace("STARTTLS", &starttls.to_string()).replace("IMPLICIT", &implicit.to_string());
    file("exim.conf", &config.replace("USER", USER).replace("PASSWORD", PASSWORD));
    file("ca.pem", &papers.ca)
}

impl Drop for Exim {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
