//! Why: an alert, or its absence, at a time. Put together from what the store has kept, and from judging the stored
//! snapshot of that tick again with the rules of now; nothing is asked of a server and nothing is written.
//!
//! `find` says who is meant; `scene` is the stored tick with the rule judged on it; `inputs`, `shipped`, `life`, `trend`,
//! `told` and `change` are the parts of the answer, each its own file. Deliberately absent: sentences. They are `cli`'s.

mod change;
mod find;
mod inputs;
mod life;
mod scene;
mod shipped;
mod told;
mod trend;
mod unrouted;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;

pub use change::Change;
pub use inputs::{InputPart, SettingPart};
pub use life::{Life, Step};
pub use scene::Verdict;
pub use shipped::AsShipped;
pub use told::{ChannelPart, Said};
pub use trend::TrendPart;
pub use unrouted::Unrouted;

use crate::alert;
use crate::config::Config;
use crate::model::{Fingerprint, Labels, RuleMeta, Severity, State};
use crate::rules::{Facts, RuleSet};
use crate::store::Store;

/// What somebody wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Rule id.
    pub rule: &'a str,
    /// Whom it is about, as people write it: `shop.public.orders`, `orders`, `slot old_dwh`.
    pub subject: Option<&'a str>,
    /// Target; may be left out where only one can be meant.
    pub target: Option<&'a str>,
    /// At what time; now when left out.
    pub at: Option<DateTime<Utc>>,
    /// The only channel of interest.
    pub channel: Option<&'a str>,
}

/// Where answers come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The store.
    pub store: &'a Store,
    /// The rules of now.
    pub rules: &'a RuleSet,
    /// Overrides, routes and windows of now, if there is a config.
    pub config: Option<&'a Config>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// About one subject.
    One(Box<Explanation>),
    /// About a rule with several subjects, when none was named.
    Several(Box<Overview>),
}

impl Answer {
    /// Whether it says anything of a channel.
    #[must_use]
    pub fn mentions(&self, channel: &str) -> bool {
        matches!(self, Self::One(one) if one.channels.iter().any(|part| part.channel == channel))
    }
}

/// All that is known of one subject.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The rule.
    pub rule: RulePart,
    /// Target name.
    pub target: String,
    /// Whom it is about; empty for the server as a whole.
    pub subject: Labels,
    /// Id of its alert, whether there is one or not.
    pub fingerprint: Fingerprint,
    /// The time that is explained.
    pub at: DateTime<Utc>,
    /// When the tick was taken that was in force then; `None` when it is not kept.
    pub tick: Option<DateTime<Utc>>,
    /// What the rule says of that tick.
    pub verdict: Verdict,
    /// Its alert's life up to then.
    pub life: Option<Life>,
    /// What limits the answer.
    pub notes: Vec<String>,
    /// What the rule read.
    pub inputs: Vec<InputPart>,
    /// What it made of that; `None` where its engine cannot look at one subject and found nothing.
    pub facts: Option<Facts>,
    /// Its settings there.
    pub settings: Vec<SettingPart>,
    /// What it would say with its own settings, where that is something else.
    pub as_shipped: Option<AsShipped>,
    /// How the first measured fact went.
    pub trend: Option<TrendPart>,
    /// What each channel was told, and was not.
    pub channels: Vec<ChannelPart>,
    /// The only channel of interest, when one was named.
    pub channel: Option<String>,
    /// Channels that a new alert of this subject, as bad as that, would be told to by the routes of now.
    pub leads_to: Vec<String>,
    /// Other channels of the config's routes, and why they are not told.
    pub unrouted: Vec<Unrouted>,
    /// What would change it.
    pub changes: Vec<Change>,
}

/// A rule as answers name it.
#[derive(Debug, Clone, Serialize)]
pub struct RulePart {
    /// Its id.
    pub id: String,
    /// The problem.
    pub title: String,
    /// The file it came from; empty for a rule that is gone or that the program made itself.
    pub source: String,
    /// SHA-256 of its text, hex.
    pub hash: String,
    /// Seconds that a finding must last.
    pub for_s: u64,
    /// Seconds that it stays firing.
    pub keep_firing_for_s: u64,
}

/// A rule with several subjects, none of them named.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// The rule.
    pub rule: RulePart,
    /// Target name.
    pub target: String,
    /// When the tick was taken.
    pub tick: Option<DateTime<Utc>>,
    /// What the rule says as a whole.
    pub verdict: Verdict,
    /// Its living alerts and findings, worst first.
    pub subjects: Vec<SubjectLine>,
    /// Rows that it looked at.
    pub rows: usize,
    /// Rows that it could not judge.
    pub unknown: usize,
    /// Why it may not have seen all.
    pub gaps: Vec<String>,
}

/// One subject of an overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectLine {
    /// Whom it is about.
    pub subject: Labels,
    /// How bad.
    pub severity: Severity,
    /// Where its alert stands; `None` when there is no alert yet.
    pub state: Option<State>,
    /// One line.
    pub summary: String,
}

/// Answers a question.
///
/// # Errors
/// When the store cannot be read, or it cannot be told what the question is about; the message says what would.
pub fn explain(from: &Sources<'_>, question: &Question<'_>) -> Result<Answer> {
    let target = find::target(from, question)?;
    let scene = scene::Scene::open(from, question, &target)?;
    match find::subject(&scene, question)? {
        Some(subject) => Ok(Answer::One(Box::new(one(from, question, &scene, subject)?))),
        None => Ok(Answer::Several(Box::new(scene.overview(from.store)?))),
    }
}

fn one(from: &Sources<'_>, question: &Question<'_>, scene: &scene::Scene<'_>, subject: Labels) -> Result<Explanation> {
    let fingerprint = alert::fingerprint(question.rule, &scene.target.name, &subject);
    let life = life::of(from.store, scene, &fingerprint)?;
    let judged = scene.judge(life.as_ref(), &subject);
    let looked_at = judged.facts(&subject);
    let trend = trend::of(from.store, scene, &judged, &subject, looked_at.as_ref())?;
    let facts = looked_at.or_else(|| judged.said(scene, &subject));
    let channels = told::of(from, scene, &fingerprint, life.as_ref())?;
    let (leads_to, mut unrouted) = scene.ways(&subject, life.as_ref());
    unrouted.retain(|other| channels.iter().all(|part| part.channel != other.channel));
    let mut notes = scene.notes.clone();
    notes.extend(life.as_ref().and_then(|life| life.other_text(&scene.rule)));
    notes.extend(judged.opaque());
    let settings = judged.input.as_ref().map(|input| inputs::settings(scene, input)).unwrap_or_default();
    Ok(Explanation {
        inputs: judged.input.as_ref().map(|input| inputs::read(scene, input, &subject)).unwrap_or_default(),
        as_shipped: shipped::of(scene, &judged, &subject, &settings),
        settings,
        channels,
        channel: question.channel.map(String::from),
        leads_to,
        unrouted,
        changes: change::of(scene, facts.as_ref(), life.as_ref(), trend.as_ref()),
        verdict: judged.verdict(scene, &subject, life.as_ref(), facts.as_ref())?,
        rule: scene.rule.clone(),
        target: scene.target.name.clone(),
        subject,
        fingerprint,
        at: scene.at,
        tick: scene.snapshot.as_ref().map(|snapshot| snapshot.taken_at),
        life,
        notes,
        facts,
        trend,
    })
}

impl RulePart {
    fn of(meta: &RuleMeta) -> Self {
        Self {
            id: meta.id.clone(),
            title: meta.title.clone(),
            source: meta.source.clone(),
            hash: meta.hash.clone(),
            for_s: meta.for_s,
            keep_firing_for_s: meta.keep_firing_for_s,
        }
    }
}
