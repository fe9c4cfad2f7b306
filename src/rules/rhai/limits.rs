//! What a script may use up. Operations and sizes give the same verdict everywhere; the wall clock is only the net under
//! them and says so in its message.
//!
//! Rhai's own size caps can be walked around (an element assignment is not checked, and a column is a foreign type whose
//! bytes Rhai does not see), so buffers made by a script are counted here, and `inspect` refuses element assignments.
//! Rhai asks for the time between operations only, and one operation on a column of a large frame takes as long as
//! thousands of others, so each buffer asks too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::error::Trouble;

/// The limits of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Operations: 1,000,000, about a tenth of a second of plain script.
    pub operations: u64,
    /// Wall time in milliseconds: 1,000.
    pub wall_ms: u64,
    /// Bytes of source text: 64 kB.
    pub source_bytes: usize,
    /// Bytes of the columns and masks that a script has made and still holds: 64 MB.
    pub column_bytes: usize,
    /// Findings of one evaluation: 1,000.
    pub findings: usize,
    /// Bytes of text in all findings of one evaluation, with the evidence and actions that it makes for them: 4 MB.
    pub text_bytes: usize,
    /// Bytes of one text: 32 kB.
    pub string_bytes: usize,
    /// Elements of one list, nested ones included: 1,000. Rhai measures a list at each change, so that more costs its square.
    pub list_items: usize,
    /// Entries of one map, nested ones included: 200.
    pub map_items: usize,
    /// Nested calls of functions: 8.
    pub call_levels: usize,
    /// Variables of one call at one time: 100. With the sizes above, all variables together hold some 40 MB at most.
    pub variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 1_000_000,
            wall_ms: 1_000,
            source_bytes: 64 << 10,
            column_bytes: 64 << 20,
            findings: 1_000,
            text_bytes: 4 << 20,
            string_bytes: 32 << 10,
            list_items: 1_000,
            map_items: 200,
            call_levels: 8,
            variables: 100,
        }
    }
}

/// Counts the bytes of living buffers against a cap.
#[derive(Debug)]
pub(super) struct Meter {
    used: AtomicUsize,
    cap: usize,
    deadline: Deadline,
}

impl Meter {
    /// From this many bytes on a buffer is worth a look at the clock.
    const LARGE: usize = 4 << 10;

    pub(super) fn new(cap: usize, deadline: Deadline) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), cap, deadline })
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Room for that many bytes until the charge is dropped. Asked before the bytes are allocated.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Trouble> {
        if bytes >= Self::LARGE
            && let Some(message) = self.deadline.over()
        {
            return Err(Trouble::Stop(message));
        }
        let charge = Charge { bytes, meter: self.clone() };
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.cap {
            return Err(Trouble::Stop(format!("it holds more than {} of columns", pgsteward_helpers::bytes(self.cap as f64))));
        }
        Ok(charge)
    }
}

/// Bytes in use; given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    meter: Arc<Meter>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// When an evaluation must end by the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Instant,
    wall_ms: u64,
}

impl Deadline {
    /// How many operations go by between two looks at the clock: a look at each would cost a quarter of a finding.
    const STRIDE: u64 = 256;

    pub(super) fn after(wall_ms: u64) -> Self {
        Self { end: wall() + Duration::from_millis(wall_ms), wall_ms }
    }

    /// The message that ends the script, once the time is over; looked at now and then.
    pub(super) fn over_after(&self, operations: u64) -> Option<String> {
        if operations.is_multiple_of(Self::STRIDE) { self.over() } else { None }
    }

    /// The message that ends the script, once the time is over.
    pub(super) fn over(&self) -> Option<String> {
        (wall() >= self.end).then(|| format!("stopped by wall clock after {} ms, not reproducible", self.wall_ms))
    }
}

#[expect(clippy::disallowed_methods, reason = "a wall-clock stop cannot be virtual")]
fn wall() -> Instant {
    Instant::now()
}
