//! A sample in a file: one snapshot and the readings before it, which is all that rates need. `collect --out` writes it,
//! `check --snapshot` reads it. JSON, and gzip when the name ends in `.gz`.
//!
//! A file from elsewhere is hostile: its size is capped after unpacking, its form is looked at before its content, and
//! frames whose columns do not fit each other are refused, since everything after counts on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::model::{Frame, Reading, Snapshot};

/// Bytes of JSON that a file may unpack to.
const MAX_BYTES: u64 = 512 << 20;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Version of this file form; see `Sample::FORM`.
    pub form: u32,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The reading before, of each frame that has one.
    pub previous: BTreeMap<String, Frame>,
}

/// Why a sample cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SampleError {
    #[error("cannot write sample `{path}`")]
    Write { path: String, source: io::Error },
    #[error("cannot read sample `{path}`")]
    Read { path: String, source: io::Error },
    #[error("sample `{path}` unpacks to more than {} MB", MAX_BYTES >> 20)]
    TooLarge { path: String },
    #[error("`{path}` is not a sample: it has no `form`")]
    NotASample { path: String, source: serde_json::Error },
    #[error("sample `{path}` has form {found}, this build reads form {}; collect it anew or use the build that wrote it", Sample::FORM)]
    Form { path: String, found: u32 },
    #[error("sample `{path}` does not follow its form")]
    Content { path: String, source: serde_json::Error },
    #[error("sample `{path}`: {why}")]
    Frame { path: String, why: String },
}

impl Sample {
    /// The form that this build writes and reads.
    pub const FORM: u32 = 1;

    /// A sample of this form.
    #[must_use]
    pub fn new(snapshot: Snapshot, previous: BTreeMap<String, Frame>) -> Self {
        Self { form: Self::FORM, snapshot, previous }
    }

    /// Writes the file in one step: a reader sees the whole of it or nothing.
    ///
    /// # Errors
    /// When the folder or file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SampleError> {
        write_json(path, self).map_err(|source| SampleError::Write { path: path.display().to_string(), source })
    }

    /// Reads a file, packed or not, whatever its name.
    ///
    /// # Errors
    /// When it cannot be read, is too large, of another form, or does not hang together.
    pub fn read(path: &Path) -> Result<Self, SampleError> {
        let name = || path.display().to_string();
        let failed = |source| SampleError::Read { path: name(), source };
        let text = unpack(path).map_err(failed)?.ok_or_else(|| SampleError::TooLarge { path: name() })?;
        let head: Head = serde_json::from_slice(&text).map_err(|source| SampleError::NotASample { path: name(), source })?;
        if head.form != Self::FORM {
            return Err(SampleError::Form { path: name(), found: head.form });
        }
        let sample: Self = serde_json::from_slice(&text).map_err(|source| SampleError::Content { path: name(), source })?;
        sample.hangs_together().map_err(|why| SampleError::Frame { path: name(), why })?;
        Ok(sample)
    }

    fn hangs_together(&self) -> Result<(), String> {
        if self.snapshot.form != Snapshot::FORM {
            return Err(format!("its snapshot has form {}, this build reads form {}", self.snapshot.form, Snapshot::FORM));
        }
        let collected = self.snapshot.frames.values().filter_map(Reading::frame).map(AsRef::as_ref);
        collected.chain(self.previous.values()).try_for_each(fits)
    }
}

#[derive(Deserialize)]
struct Head {
    form: u32,
}

/// Writes a value as JSON in one step: a reader sees the whole of it or nothing. Packed when the name ends in `.gz`.
///
/// # Errors
/// When the folder or file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        // A pipe, a device or a link is written through, never replaced.
        serde_json::to_writer(BufWriter::new(File::options().write(true).open(path)?), value)?;
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = BufWriter::new(file.as_file());
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut gz = GzEncoder::new(out, Compression::default());
        serde_json::to_writer(&mut gz, value)?;
        gz.finish()?.flush()?;
    } else {
        serde_json::to_writer(&mut out, value)?;
        out.flush()?;
        drop(out);
    }
    file.persist(path).map(|_| ()).map_err(|e| e.error)
}

/// The file's text, unpacked where it is packed; `None` when it is larger than it may be.
///
/// # Errors
/// When it cannot be read or unpacked.
pub fn unpack(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut magic = [0; 2];
    let packed = File::open(path)?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let file = File::open(path)?;
    let mut text = Vec::new();
    let limit = MAX_BYTES + 1;
    if packed {
        MultiGzDecoder::new(file).take(limit).read_to_end(&mut text)?
    } else {
        file.take(limit).read_to_end(&mut text)?
    };
    Ok((text.len() as u64 <= MAX_BYTES).then_some(text))
}

fn fits(frame: &Frame) -> Result<(), String> {
    let rebuilt = Frame::new(frame.def.clone(), frame.as_of, frame.columns.clone())?;
    if rebuilt.rows == frame.rows {
        Ok(())
    } else {
        Err(format!("frame `{}` says {} rows and has {}", frame.def.name, frame.rows, rebuilt.rows))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;

    use super::*;
    use crate::model::{ColumnData, Cost, Target};

    fn sample() -> Sample {
        let text = |name: &str| ColumnData::Text(Arc::new([Some(name)].into_iter().collect()));
        let metric = super::super::plan::tests::metric("extensions", crate::model::CostClass::Cheap, 0);
        let frame = Frame::new(Arc::new(metric.frame), DateTime::UNIX_EPOCH, vec![text("shop"), text("x")]).unwrap();
        let snapshot = Snapshot {
            form: Snapshot::FORM,
            target: Target { name: "t".into(), ..Target::default() },
            taken_at: DateTime::UNIX_EPOCH,
            server: None,
            frames: BTreeMap::from([("extensions".to_string(), Reading::Collected(Arc::new(frame.clone())))]),
            cost: Cost::default(),
        };
        Sample::new(snapshot, BTreeMap::from([("extensions".to_string(), frame)]))
    }

    fn read_text(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        std::fs::write(&path, text).unwrap();
        Sample::read(&path).unwrap_err().to_string().replace(&path.display().to_string(), "s.json")
    }

    #[test]
    fn a_sample_comes_back_as_it_went_packed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["s.json", "s.json.gz"] {
            let path = dir.path().join(name);
            sample().write(&path).unwrap();
            assert_eq!(Sample::read(&path).unwrap(), sample());
        }
        assert_eq!(std::fs::read(dir.path().join("s.json.gz")).unwrap()[..2], [0x1f, 0x8b]);
        assert!(sample().write(&dir.path().join("no/such/s.json")).unwrap_err().to_string().starts_with("cannot write sample"));
    }

    #[test]
    fn another_form_is_refused_by_its_number_and_other_files_by_what_they_lack() {
        assert_eq!(
            read_text("{\"form\": 7, \"x\": 1}"),
            "sample `s.json` has form 7, this build reads form 1; collect it anew or use the build that wrote it"
        );
        assert_eq!(read_text("[]"), "`s.json` is not a sample: it has no `form`");
        assert_eq!(read_text("{\"form\": 1}"), "sample `s.json` does not follow its form");
    }

    #[test]
    fn frames_that_lie_about_their_size_are_refused() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(read_text(&text.replace("\"rows\":1", "\"rows\":9")), "sample `s.json`: frame `extensions` says 9 rows and has 1");
    }
}
