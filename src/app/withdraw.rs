//! Before anything is sent: what waits and is kept back by now is taken back, so that a silence, a window, an inhibition or an
//! acknowledgement counts from the moment it begins, and not only for what is decided later.

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::house::House;
use super::tick::book;
use crate::alert;
use crate::model::DecideConfig;
use crate::store::{Store, StoreError};

/// How often it is looked again when another process wrote the book in between.
const CONFLICTS: u32 = 5;

/// Takes back what is not to be told now, of all targets. What fails is logged, and told: better once too often than never.
pub(super) fn withdraw(house: &House) {
    let now = house.clock.now();
    for config in house.watches.iter().map(|watch| &watch.decide).chain([&house.own]) {
        let target = config.target.name.as_str();
        match of_target(&mut house.store.lock(), config, now) {
            Ok(0) => {}
            Ok(notices) => info!(target, notices, "taken back: kept back before they were sent"),
            Err(problem) => warn!(target, problem = %super::chain(&problem), "what is kept back by now cannot be taken back"),
        }
    }
}

/// How many notices of a target were taken back.
fn of_target(store: &mut Store, config: &DecideConfig, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut result = Ok(0);
    for _ in 0..CONFLICTS {
        let book = book(store, config)?;
        let withdrawn = alert::withdrawn(&book, config, now);
        if withdrawn.is_empty() {
            return Ok(0);
        }
        result = store.withdraw(&config.target.name, book.version, &withdrawn, now);
        if !matches!(result, Err(StoreError::Conflict { .. })) {
            break;
        }
    }
    result
}
