//! A panic ends in a trap, of which the host sees only that it happened. So its message, place and row go to the log first.

use std::panic::PanicHookInfo;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::host::{Level, log};

const NONE: u32 = u32::MAX;

/// The row that is being judged.
static ROW: AtomicU32 = AtomicU32::new(NONE);

/// Notes the row that is being judged; `None` for none.
pub(crate) fn judging(row: Option<u32>) {
    ROW.store(row.unwrap_or(NONE), Ordering::Relaxed);
}

/// Sends panics to the host's log. A native test keeps its own hook.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    if cfg!(target_arch = "wasm32") {
        ONCE.call_once(|| std::panic::set_hook(Box::new(|info| log(Level::Error, &told(info)))));
    }
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map_or(String::new(), |at| format!(" at {}:{}", at.file(), at.line()));
    let row = Some(ROW.load(Ordering::Relaxed)).filter(|row| *row != NONE);
    let row = row.map_or(String::new(), |row| format!(", judging row {row}"));
    format!("panicked{place}{row}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_its_row() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| log(Level::Error, &told(info))));
        judging(Some(17));
        let caught = std::panic::catch_unwind(|| assert_eq!(1, 2, "no share"));
        judging(None);
        std::panic::set_hook(before);
        assert!(caught.is_err());
        let said: Vec<String> = crate::testing::logged().into_iter().map(|(_, line)| line).collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("panicked at ") && said[0].contains("panic.rs:"), "{}", said[0]);
        assert!(said[0].contains(", judging row 17: ") && said[0].contains("no share"), "{}", said[0]);
    }
}
