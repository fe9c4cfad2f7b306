//! Which required inputs are not there, and why: found before an engine is asked, so that "no data" is proven.

use std::sync::Arc;

use crate::model::{Frame, Input, Missing, MissingReason, Moment, RuleInput};

/// The required inputs that are not there, each frame once.
pub(in crate::rules) fn missing(inputs: &[Input], input: &RuleInput) -> Vec<(String, Missing)> {
    let mut missing: Vec<(String, Missing)> = Vec::new();
    for needed in inputs.iter().filter(|needed| !needed.optional) {
        if missing.iter().any(|(name, _)| *name == needed.frame) {
            continue;
        }
        if let Some(why) = why_missing(needed, input) {
            missing.push((needed.frame.clone(), why));
        }
    }
    missing
}

fn why_missing(needed: &Input, input: &RuleInput) -> Option<Missing> {
    let Some(frame) = input.snapshot.frame(&needed.frame) else { return input.snapshot.missing(&needed.frame) };
    let not_yet = |detail: String, remedy: &str| Some(Missing::new(MissingReason::NotYet, detail).with_remedy(remedy));
    match needed.moment {
        Moment::Now => None,
        Moment::Previous | Moment::Rate if input.changes.frames.contains_key(&needed.frame) => None,
        Moment::Previous | Moment::Rate => not_yet(format!("`{needed}` needs two readings"), "look again"),
        Moment::Delta(window) | Moment::Ago(window) => {
            let then: Option<&Arc<Frame>> = input.past.get(&window).and_then(|frames| frames.get(&needed.frame));
            match then {
                Some(then) if then.as_of < frame.as_of => None,
                _ => {
                    let history = pgsteward_helpers::span(window as f64);
                    not_yet(format!("`{needed}` needs a history of {history}"), "`pgsteward run` keeps one")
                }
            }
        }
    }
}
