//! Tick files: writing one tick with all that it decided from, and turning it again. The result must be the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::turn::{Basis, Wishes, turn};
use crate::model::{DecideConfig, Decision, Frame, RuleOutcome, Tick};
use crate::rules::RuleSet;

/// What `Tick::config` holds.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
struct TickConfig {
    wishes: Wishes,
    decide: DecideConfig,
}

/// Why a tick file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Another build wrote another form.
    #[error("the tick file has form {found}; this build reads form {}", Tick::FORM)]
    Form {
        /// The file's form.
        found: u32,
    },
    /// Rules have changed since.
    #[error("rules have changed since the tick: {0}")]
    RulesChanged(String),
    /// The file's config cannot be read.
    #[error("the tick file's config cannot be read")]
    Config(#[source] serde_json::Error),
    /// Something decided otherwise.
    #[error("the replay differs from the record in {0}")]
    Differs(&'static str),
}

/// Records a turned tick.
///
/// # Errors
/// When the config cannot be written as JSON; does not happen with a checked config.
pub fn record(
    basis: &Basis,
    rules: &RuleSet,
    wishes: &Wishes,
    decide: &DecideConfig,
    turned: (Vec<RuleOutcome>, Decision),
) -> Result<Tick, serde_json::Error> {
    let config = serde_json::to_value(TickConfig { wishes: wishes.clone(), decide: decide.clone() })?;
    let owned = |frames: &BTreeMap<String, Arc<Frame>>| frames.iter().map(|(n, f)| (n.clone(), f.as_ref().clone())).collect();
    Ok(Tick {
        form: Tick::FORM,
        build: env!("CARGO_PKG_VERSION").into(),
        snapshot: basis.snapshot.as_ref().clone(),
        previous: owned(&basis.previous),
        past: basis.past.iter().map(|(window, frames)| (*window, owned(frames))).collect(),
        book: basis.book.clone(),
        config_hash: hash(&config.to_string()),
        config,
        rules: rules.hashes(),
        outcomes: turned.0,
        decision: turned.1,
    })
}

/// Turns a recorded tick again and compares.
///
/// # Errors
/// When the file is of another form, its rules have changed, or the result is another.
pub fn replay(tick: &Tick, rules: &RuleSet) -> Result<(), ReplayError> {
    if tick.form != Tick::FORM {
        return Err(ReplayError::Form { found: tick.form });
    }
    let now = rules.hashes();
    let changed: Vec<&str> = tick.rules.iter().filter(|(id, hash)| now.get(*id) != Some(hash)).map(|(id, _)| id.as_str()).collect();
    if !changed.is_empty() || now.len() != tick.rules.len() {
        let extra = now.keys().filter(|id| !tick.rules.contains_key(*id)).map(String::as_str);
        return Err(ReplayError::RulesChanged(changed.into_iter().chain(extra).collect::<Vec<_>>().join(", ")));
    }
    let config: TickConfig = serde_json::from_value(tick.config.clone()).map_err(ReplayError::Config)?;
    let wishes = &config.wishes;
    let past = tick
        .past
        .iter()
        .map(|(window, frames)| (*window, frames.iter().map(|(name, frame)| (name.clone(), Arc::new(frame.clone()))).collect()));
    let basis = Basis {
        snapshot: Arc::new(tick.snapshot.clone()),
        previous: tick.previous_frames(),
        past: Arc::new(past.collect()),
        book: tick.book.clone(),
    };
    let (outcomes, decision) = turn(&basis, rules, wishes, &config.decide);
    if bytes(&outcomes) != bytes(&tick.outcomes) {
        return Err(ReplayError::Differs("the outcomes of rules"));
    }
    if bytes(&decision) != bytes(&tick.decision) {
        return Err(ReplayError::Differs("the decision"));
    }
    Ok(())
}

/// The bytes that are compared; an error is a value of its own and equals only itself.
fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|e| e.to_string())
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}
