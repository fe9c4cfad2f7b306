//! Values to their stored form and back. A stored value is hostile too: a torn or foreign one is reported and skipped.
//!
//! Bodies are JSON of the model's types, so that any tool can look into a store; frames are gzipped, since they are
//! large and alike. Times are microseconds, exact enough that a reading keeps its identity.

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::model::Frame;

/// No frame unpacks to more than this; what claims to is not ours.
const MAX_FRAME_BYTES: u64 = 512 << 20;

pub(super) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// A stored time; one beyond the calendar reads as its far end.
pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC })
}

/// Seconds as microseconds, for arithmetic with stored times that cannot overflow.
pub(super) fn seconds(s: u64) -> i64 {
    i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

/// JSON of a value; `what` names it in the error.
pub(super) fn to_json(what: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Encode { what: what.into(), source: e.into() })
}

/// The value of a JSON body; `None`, with a line in the log that names it, when it cannot be read.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, body: &str) -> Option<T> {
    serde_json::from_str(body).map_err(|error| tracing::warn!(what, %error, "skipped what the store cannot read")).ok()
}

/// Gzipped JSON of a frame.
pub(super) fn pack(frame: &Frame) -> Result<Vec<u8>, StoreError> {
    let encode = || -> std::io::Result<Vec<u8>> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&serde_json::to_vec(frame)?)?;
        gzip.finish()
    };
    encode().map_err(|e| StoreError::Encode { what: format!("frame `{}`", frame.def.name), source: e.into() })
}

/// The frame of a packed body.
///
/// # Errors
/// Why it is none, in one fragment.
pub(super) fn unpack(body: &[u8]) -> Result<Frame, String> {
    let mut json = Vec::new();
    let read = GzDecoder::new(body).take(MAX_FRAME_BYTES).read_to_end(&mut json).map_err(|e| e.to_string())?;
    if read as u64 == MAX_FRAME_BYTES {
        return Err("it is larger than any frame".into());
    }
    let stored: Frame = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    // Columns are checked against their description again: whoever reads a cell relies on it.
    let checked = Frame::new(stored.def, stored.as_of, stored.columns)?;
    Ok(Frame { epoch: stored.epoch, coverage: stored.coverage, ..checked })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::frame;
    use super::*;

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_went(values in proptest::collection::vec(proptest::option::of(-1e300f64..1e300), 0..40), as_of in 0i64..4_000_000_000) {
            let values: Vec<f64> = values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            let before = frame("tables", as_of, &values);
            let after = unpack(&pack(&before).unwrap()).unwrap();
            prop_assert_eq!(format!("{before:?}"), format!("{:?}", std::sync::Arc::new(after)));
        }

        #[test]
        fn any_cut_or_foreign_body_is_an_error_and_no_panic(cut in 0usize..200, noise in proptest::collection::vec(any::<u8>(), 0..60)) {
            let whole = pack(&frame("tables", 1, &[1.0, 2.0])).unwrap();
            prop_assert!(unpack(&whole[..cut.min(whole.len() - 9)]).is_err());
            prop_assert!(unpack(&noise).is_err());
        }
    }

    #[test]
    fn columns_that_do_not_fit_their_description_are_refused() {
        let mut torn = (*frame("tables", 1, &[1.0, 2.0])).clone();
        torn.columns.clear();
        assert_eq!(unpack(&pack(&torn).unwrap()), Err("frame `tables` has 0 columns, 1 are described".into()));
    }

    #[test]
    fn times_beyond_the_calendar_do_not_panic() {
        assert_eq!(time(i64::MAX), DateTime::<Utc>::MAX_UTC);
        assert_eq!(time(i64::MIN), DateTime::<Utc>::MIN_UTC);
        assert_eq!(seconds(u64::MAX), i64::MAX);
    }
}
