//! `log`: notices as lines of JSON in a file, for programs. Turned over by size; several processes may write to one.
//!
//! A line is either there whole and on the disk, or the send has failed: writers take turns by a lock file beside the
//! log, a write that breaks off is taken back, and a torn last line that a crash left is ended before the next is written.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{ChannelKind, ChannelSettings, Doubt, Means, Settings, Traits, blocking};
use crate::deliver::{Channel, Message, Receipt, SendError, render};
use crate::env::Env;
use crate::model::Reach;
use crate::problem::Problem;
use crate::yaml::{Fields, number_of, text_of};

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "log",
    doc: "appends notices to a file as lines of JSON, for programs",
    example: "kind: log\nfile: /var/log/pgsteward/alerts.jsonl   # its folder must be there\nrotate: 50MB                            # when it would grow beyond this it becomes alerts.jsonl.1\nkeep: 5                                 # older files: .1 to .5\n",
    traits: Traits { stateful: false, reach: Reach::Record, most: 64, digest: false, rate: None, draws: false },
    refused: "",
    settings,
};

/// How often, and how long in all, another writer is waited for.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 250;

#[derive(Debug, Clone, Serialize)]
struct LogSettings {
    file: PathBuf,
    /// Bytes.
    rotate: u64,
    keep: u32,
}

fn settings(file: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    let path = path(file, fields);
    let rotate = bounded(fields, "rotate", 50.0 * 1_048_576.0, 4_096.0..=1e12, "a size of at least 4kB");
    let keep = bounded(fields, "keep", 5.0, 1.0..=1_000.0, "a number of files, 1 to 1000");
    Some(ChannelSettings(Arc::new(LogSettings { file: path?, rotate: rotate? as u64, keep: keep? as u32 })))
}

fn path(file: &str, fields: &mut Fields<'_>) -> Option<PathBuf> {
    let node = fields.required("file")?;
    let Some(path) = text_of(node).filter(|text| !text.is_empty()).map(PathBuf::from) else {
        fields.error(node, format!("`file` must be a path, this is {}", node.value.kind()));
        return None;
    };
    if path.is_relative() {
        let problem = Problem::warning(file, node.at, format!("`{}` is looked for where pgsteward is started", path.display()));
        fields.problems.push(problem.hint("write the whole path"));
    }
    Some(path)
}

fn bounded(fields: &mut Fields<'_>, key: &'static str, default: f64, legal: RangeInclusive<f64>, what: &str) -> Option<f64> {
    let Some(node) = fields.node(key) else { return Some(default) };
    let value = number_of(node).ok().filter(|value| legal.contains(value));
    if value.is_none() {
        fields.error(node, format!("`{key}` must be {what}"));
    }
    value
}

impl Settings for LogSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn doubts(&self, _: &Env) -> Vec<Doubt> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
        let doubt = |folder: &Path| {
            let folder = folder.display();
            Doubt { key: "file", message: format!("there is no folder `{folder}` here"), hint: format!("mkdir -p {folder}") }
        };
        folder.map(doubt).into_iter().collect()
    }

    fn build(&self, name: &str, _: &Means) -> Box<dyn Channel> {
        Box::new(Log { name: name.into(), settings: self.clone() })
    }
}

struct Log {
    name: String,
    settings: LogSettings,
}

impl Channel for Log {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let lines: Result<Vec<String>, _> = message.notices.iter().map(|notice| render::json_line(notice, &notice.key)).collect();
        let settings = self.settings.clone();
        Box::pin(blocking(move || {
            let lines = lines.map_err(|e| SendError::Permanent { detail: format!("the notice has no JSON form: {e}") })?;
            let end = append(&settings, &lines.join("\n")).map_err(|e| explain(&settings.file, &e))?;
            Ok(Receipt::new(format!("{} up to byte {end}", settings.file.display())))
        }))
    }
}

fn explain(file: &Path, error: &io::Error) -> SendError {
    let mend = match error.kind() {
        io::ErrorKind::NotFound => "; make its folder",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; let the user that runs pgsteward write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on its disk",
        io::ErrorKind::InvalidInput => "; name a plain file",
        io::ErrorKind::WouldBlock => "; another process has held its lock for too long",
        _ => "",
    };
    SendError::Unready { setting: "file", detail: format!("the log `{}` cannot be written: {error}{mend}", file.display()) }
}

/// Adds a line and brings it to the disk; the length of the file afterwards.
fn append(settings: &LogSettings, line: &str) -> io::Result<u64> {
    plain(&settings.file)?;
    let _turn = lock(&beside(&settings.file, "lock"))?;
    let (mut file, mut size) = open(&settings.file)?;
    if size > 0 && size + line.len() as u64 + 2 > settings.rotate {
        rotate(settings)?;
        (file, size) = open(&settings.file)?;
    }
    let text = if is_torn(&mut file, size)? { format!("\n{line}\n") } else { format!("{line}\n") };
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
        file.set_len(size)?;
        return Err(error);
    }
    if size == 0 {
        sync_folder(&settings.file)?;
    }
    Ok(size + text.len() as u64)
}

/// A pipe would wait for its reader, and a device keeps nothing.
fn plain(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, a device or a folder")),
        _ => Ok(()),
    }
}

/// `alerts.jsonl` and `lock` make `alerts.jsonl.lock`.
fn beside(file: &Path, suffix: impl std::fmt::Display) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".{suffix}"));
    path.into()
}

/// The lock, held until the file is dropped. It is a file of its own since the log itself is renamed.
fn lock(path: &Path) -> io::Result<File> {
    let file = options().write(true).open(path)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = options().read(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// New files are their owner's only: a notice may hold statement texts.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn is_torn(file: &mut File, size: u64) -> io::Result<bool> {
    if size == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// `.4` becomes `.5`, and so on; the oldest goes.
fn rotate(settings: &LogSettings) -> io::Result<()> {
    let name = |n: u32| if n == 0 { settings.file.clone() } else { beside(&settings.file, n) };
    for n in (0..settings.keep).rev() {
        match std::fs::rename(name(n), name(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A new name in a folder is on the disk only when the folder is.
#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::notice;
    use super::*;

    fn log(folder: &tempfile::TempDir, rotate: u64, keep: u32) -> LogSettings {
        LogSettings { file: folder.path().join("alerts.jsonl"), rotate, keep }
    }

    fn lines(settings: &LogSettings) -> Vec<String> {
        let files = (1..=settings.keep).rev().map(|n| beside(&settings.file, n)).chain([settings.file.clone()]);
        files
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>())
            .collect()
    }

    fn checked(yaml: &str) -> (Option<serde_json::Value>, Vec<String>) {
        let root = crate::yaml::parse("c", yaml).unwrap();
        let mut fields = Fields::open("c", &root, "a channel").unwrap();
        let settings = settings("c", &mut fields).map(|s| serde_json::json!(s));
        (settings, fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn settings_are_checked_all_at_once() {
        let (settings, problems) = checked("file: /var/log/a.jsonl\nrotate: 1MB\n");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.unwrap(), serde_json::json!({"kind": "log", "file": "/var/log/a.jsonl", "rotate": 1_048_576, "keep": 5}));
        let (settings, problems) = checked("rotate: 10B\nkeep: many\nfil: x\n");
        assert_eq!(settings, None);
        assert_eq!(
            problems,
            [
                "c:1:1: error: `file` is missing",
                "c:1:9: error: `rotate` must be a size of at least 4kB",
                "c:2:7: error: `keep` must be a number of files, 1 to 1000",
                "c:3:1: error: unknown key `fil`; did you mean `file`?",
            ]
        );
        let (settings, problems) = checked("file: a.jsonl\n");
        assert!(settings.is_some());
        assert_eq!(problems, ["c:1:7: warning: `a.jsonl` is looked for where pgsteward is started; write the whole path"]);
    }

    #[test]
    fn turning_over_loses_and_tears_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let settings = log(&folder, 100, 20);
        let written: Vec<String> = (0..40).map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 30))).collect();
        for line in &written {
            append(&settings, line).unwrap();
        }
        assert_eq!(lines(&settings), written);
        assert!(std::fs::metadata(&settings.file).unwrap().len() <= 100);
    }

    #[test]
    fn only_so_many_old_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let settings = log(&folder, 20, 2);
        for n in 0..9 {
            append(&settings, &format!("line {n} of some length")).unwrap();
        }
        assert_eq!(lines(&settings), [6, 7, 8].map(|n| format!("line {n} of some length")));
    }

    #[test]
    fn writers_at_the_same_time_tear_and_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings = log(&folder, 300, 1_000);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let settings = &settings;
                scope.spawn(move || {
                    for n in 0..25 {
                        append(settings, &format!("writer {writer} line {n:02}")).unwrap();
                    }
                });
            }
        });
        let mut found = lines(&settings);
        for writer in 0..4 {
            let own: Vec<&String> = found.iter().filter(|line| line.starts_with(&format!("writer {writer}"))).collect();
            assert!(own.is_sorted() && own.len() == 25, "{own:?}");
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 100);
    }

    #[test]
    fn a_line_that_a_crash_tore_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let settings = log(&folder, 1_000, 1);
        std::fs::write(&settings.file, "whole\n{\"key\":\"to").unwrap();
        append(&settings, "next").unwrap();
        assert_eq!(std::fs::read_to_string(&settings.file).unwrap(), "whole\n{\"key\":\"to\nnext\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_says_so() {
        let error = OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"line\n").unwrap_err();
        let SendError::Unready { detail, .. } = explain(Path::new("/var/log/a.jsonl"), &error) else { panic!("it may be mended") };
        assert_eq!(detail, "the log `/var/log/a.jsonl` cannot be written: No space left on device (os error 28); make room on its disk");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for file in [pipe, "/dev/null".into(), folder.path().into()] {
            let error = append(&LogSettings { file: file.clone(), ..log(&folder, 1_000, 1) }, "line").unwrap_err();
            let told = explain(&file, &error).to_string();
            let wanted = format!("the log `{}` cannot be written: it is a pipe, a device or a folder; name a plain file", file.display());
            assert_eq!(told, wanted);
        }
    }

    #[test]
    fn a_line_says_all_that_the_notice_says() {
        let line: serde_json::Value = serde_json::from_str(&render::json_line(&notice("k1"), "k1").unwrap()).unwrap();
        assert_eq!(line["key"], "k1");
        assert_eq!(line["at"], "1970-01-01T00:10:00Z");
        assert_eq!(line["subject"]["table"], "orders");
        assert_eq!(line["evidence"][1], serde_json::json!({"metric": "dead / trigger", "value": 6.0, "threshold": 4.0, "unit": "x"}));
        assert_eq!(line["actions"][0]["sql"], "VACUUM (ANALYZE) public.orders");
    }
}
