//! A recurring time in which people work on the server and want no notices of it.

use chrono::{DateTime, Utc};

use super::Suppression;
use crate::alert::facts::Facts;
use crate::model::{DecideConfig, Reason};

/// The matching window that is open; of several the one that ends last, since notices wait for that.
pub(super) fn keeps_back(facts: &Facts<'_>, config: &DecideConfig, at: DateTime<Utc>) -> Option<Suppression> {
    let matching = config.windows.iter().filter(|window| facts.match_all(&window.matchers));
    let open = matching.filter_map(|window| Some((window.window.contains(at)?, window)));
    // `rev`: of equal ends the one written first.
    let (until, window) = open.rev().max_by_key(|(until, _)| *until)?;
    Some(Suppression { by: format!("window {}", window.name), reason: Reason::Window { name: window.name.clone(), until } })
}
