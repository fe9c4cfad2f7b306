//! The `disk` frame: how full the file systems of the server are, where they are ours to see.
//!
//! PostgreSQL does not tell. The engine looks itself when the server is on this machine, which a loopback address does not
//! prove (a tunnel, a container), so `pg_control` must carry the same system identifier as the server that answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::capability::{Capabilities, get};
use super::cost::Meter;
use super::failure::Failure;
use super::metrics;
use super::session::Session;
use crate::model::{ColumnData, Frame, Missing, MissingReason, Reading};

/// How long a file system may take to answer; one over a dead network never does.
const PATIENCE: Duration = Duration::from_secs(2);

const PATHS: &str = "
SELECT current_setting('data_directory') AS data,
       ARRAY(SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '') AS tablespaces";

/// Reads the frame, or says why it cannot be read from here.
pub(super) async fn read(session: &Session, meter: &mut Meter, found: &Capabilities, now: DateTime<Utc>) -> Reading {
    let paths = match paths(session, meter, found).await {
        Ok(paths) => paths,
        Err(missing) => return Reading::Missing(missing),
    };
    let looked = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || mounts(&paths))).await;
    match looked {
        Ok(Ok(mounts)) => frame(now, &mounts),
        _ => Reading::Missing(Missing::new(MissingReason::ServerError, "a file system of the server does not answer")),
    }
}

/// Why it is not there when there was no session.
pub(super) fn not_here(why: &str) -> Missing {
    Missing::new(MissingReason::NotCollected, why.to_string())
        .with_remedy("run pgsteward on the server's machine as a user that may read the data directory, such as postgres")
}

async fn paths(session: &Session, meter: &mut Meter, found: &Capabilities) -> Result<Vec<PathBuf>, Missing> {
    if !session.address.is_loopback() {
        return Err(not_here("the server is on another machine"));
    }
    if !(found.role.superuser || found.role.read_all_settings) {
        return Err(Missing::new(MissingReason::NoGrant, "the role may not read data_directory")
            .with_remedy(format!("GRANT pg_monitor TO {};", crate::model::action::quote::ident(&found.role.name))));
    }
    let asked = session.ask_all(meter, PATHS).await.and_then(|rows| {
        let row = rows.first().ok_or_else(|| Failure::Answer("no row".into()))?;
        Ok((get::<String>(row, "data")?, get::<Vec<String>>(row, "tablespaces")?))
    });
    let (data, tablespaces) = asked.map_err(|_| Missing::new(MissingReason::ServerError, "the server does not say where its files are"))?;
    let data = PathBuf::from(data);
    match (system_identifier(&data), &found.server.system_identifier) {
        (Some(here), Some(there)) if here == *there => {}
        (None, _) => return Err(not_here("the data directory cannot be read from here")),
        _ => return Err(not_here("the data directory of that name here belongs to another server")),
    }
    let wal = data.join("pg_wal");
    Ok([data, wal].into_iter().chain(tablespaces.into_iter().map(PathBuf::from)).collect())
}

/// The first eight bytes of `pg_control`, in the machine's byte order.
fn system_identifier(data: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open(data.join("global/pg_control")).ok()?.read_exact(&mut bytes).ok()?;
    Some(u64::from_ne_bytes(bytes).to_string())
}

/// One file system.
#[derive(Debug, Default, Clone, PartialEq)]
struct Mount {
    paths: Vec<String>,
    bytes: f64,
    free: f64,
    used_pct: f64,
}

fn mounts(paths: &[PathBuf]) -> BTreeMap<String, Mount> {
    let mut mounts: BTreeMap<String, Mount> = BTreeMap::new();
    for path in paths {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let Ok(stats) = fs4::statvfs(&real) else { continue };
        let mount = mounts.entry(mount_point(&real).display().to_string()).or_default();
        let (bytes, free) = (stats.total_space() as f64, stats.available_space() as f64);
        let used = bytes - stats.free_space() as f64;
        mount.paths.push(path.display().to_string());
        *mount = Mount { paths: std::mem::take(&mut mount.paths), bytes, free, used_pct: 100.0 * used / (used + free) };
    }
    mounts
}

/// The highest folder above a path on the same device.
#[cfg(unix)]
fn mount_point(path: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.dev());
    let own = device(path);
    path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(path).to_path_buf()
}

/// Without devices, a path is its own place.
#[cfg(not(unix))]
fn mount_point(path: &Path) -> PathBuf {
    path.to_path_buf()
}

fn frame(now: DateTime<Utc>, mounts: &BTreeMap<String, Mount>) -> Reading {
    let text = |values: Vec<String>| ColumnData::Text(Arc::new(values.into_iter().map(Some).collect()));
    let number = |of: fn(&Mount) -> f64| ColumnData::Float(mounts.values().map(of).collect());
    let columns = vec![
        text(mounts.keys().cloned().collect()),
        text(mounts.values().map(|mount| mount.paths.join(", ")).collect()),
        number(|mount| mount.bytes),
        number(|mount| mount.free),
        number(|mount| mount.used_pct),
    ];
    match Frame::new(Arc::new(metrics::disk::frame()), now, columns) {
        Ok(frame) => Reading::Collected(Arc::new(frame)),
        Err(why) => Reading::Missing(Missing::new(MissingReason::NotCollected, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_on_one_file_system_are_one_row() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pg_wal")).unwrap();
        let found = mounts(&[dir.path().to_path_buf(), dir.path().join("pg_wal"), dir.path().join("gone")]);
        assert_eq!(found.len(), 1);
        let (mount, row) = found.iter().next().unwrap();
        assert!(dir.path().starts_with(mount));
        assert_eq!(row.paths.len(), 2);
        assert!(row.bytes > 0.0 && row.free <= row.bytes && (0.0..=100.0).contains(&row.used_pct));
        let reading = frame(DateTime::UNIX_EPOCH, &found);
        assert_eq!(reading.frame().unwrap().number("bytes", 0), Some(row.bytes));
    }

    #[test]
    fn a_data_directory_is_known_by_its_identifier() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(system_identifier(dir.path()), None);
        std::fs::create_dir(dir.path().join("global")).unwrap();
        let file = dir.path().join("global/pg_control");
        std::fs::write(&file, [1, 2, 3]).unwrap();
        assert_eq!(system_identifier(dir.path()), None, "cut short");
        std::fs::write(&file, [&7_711_u64.to_ne_bytes()[..], &[0; 100]].concat()).unwrap();
        assert_eq!(system_identifier(dir.path()).as_deref(), Some("7711"));
    }
}
