//! What one tick decided, every choice with its reason. The values that `alert::decide` returns and `store` commits.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::alert::flat;
use super::{Book, Fingerprint, Labels, Notice, NoticeKind, Severity, State, Step, Telling};

/// Why something was or was not done. Shown to people, kept in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// A finding appeared; `for` is still running.
    Waiting {
        /// Seconds proven so far.
        proven_s: u64,
        /// Seconds asked for.
        for_s: u64,
    },
    /// The finding lasted as long as `for`.
    Lasted {
        /// Seconds asked for.
        for_s: u64,
    },
    /// The finding went away before `for` was over.
    GoneBeforeFiring,
    /// The finding went away; `keep_firing_for` is running.
    Recovering {
        /// Seconds asked for.
        keep_firing_for_s: u64,
    },
    /// The finding came back while recovering.
    CameBack,
    /// The finding stayed away long enough.
    Cleared,
    /// The rule is gone from the rule set.
    RuleRemoved,
    /// The rule was switched off.
    RuleOff {
        /// How and why: `disabled: DBA-311`.
        detail: String,
    },
    /// The state is held: the subject or the rule could not be judged.
    Held {
        /// Why.
        detail: String,
    },
    /// Time between two evaluations proves nothing; it does not count towards `for`.
    Gap {
        /// Seconds that are not counted.
        gap_s: u64,
    },
    /// First notice of the episode on this channel.
    FirstOfEpisode,
    /// Severity rose since the channel was last told.
    SeverityRose {
        /// What the channel knows.
        from: Severity,
    },
    /// The dedup window since the last delivery is over.
    WindowOver {
        /// Seconds of the window.
        dedup_s: u64,
    },
    /// The channel was told within the dedup window.
    Deduplicated {
        /// When it may be told again.
        until: DateTime<Utc>,
    },
    /// The channel was told, and repeats are off.
    NoRepeat,
    /// The channel has a notice of this episode still on its way.
    OnItsWay,
    /// The channel was told of the firing, so it is told of the end.
    ToldOfFiring,
    /// The channel was never told of the firing, so there is nothing to end.
    NeverTold,
    /// A maintenance window keeps the notice back.
    Window {
        /// Name of the window.
        name: String,
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// No route leads to a channel.
    NotRouted,
    /// A silence keeps the notice back.
    Silenced {
        /// Its id.
        id: String,
        /// Who made it.
        author: String,
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// Another alert keeps the notice back.
    Inhibited {
        /// Name of the inhibition.
        name: String,
        /// Rule and target of the other alert.
        by: String,
    },
    /// Somebody has acknowledged it, so nothing is repeated.
    Acked {
        /// Who.
        who: String,
        /// When that runs out, if it does.
        until: Option<DateTime<Utc>>,
    },
    /// It comes and goes; nothing is told until it settles.
    Flapping {
        /// Weighted share of changes among its last evaluations, in whole per cent.
        percent: u32,
    },
    /// It has stopped coming and going.
    Settled,
    /// Severity fell since the channel was last told.
    Lowered {
        /// What the channel knows.
        from: Severity,
    },
    /// Its acknowledgement is told to the channel, or written down.
    Acknowledged {
        /// Who.
        who: String,
    },
    /// Its acknowledgement has ended.
    AckEnded {
        /// Why.
        detail: String,
    },
    /// It went on for that long and nobody acknowledged it.
    Escalated {
        /// Name of the escalation.
        name: String,
        /// Seconds.
        after_s: u64,
    },
    /// The channel is told of nothing that mild.
    TooMild {
        /// What it is told of at least.
        at_least: Severity,
    },
    /// The rule's `action` word does not reach that far.
    OutOfReach {
        /// The word.
        action: String,
    },
    /// The channel is not told of ends.
    EndsNotTold,
    /// A silence ended because the last alert that it kept back is over.
    LastOfSilence,
    /// Its target is gone from the config.
    TargetRemoved,
    /// The rule reported it more than once; the worst counts.
    Duplicate {
        /// How often.
        count: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use pgsteward_helpers::span;
        let span = |s: &u64| span(*s as f64);
        match self {
            Self::Waiting { proven_s, for_s } => write!(f, "seen for {} of {}", span(proven_s), span(for_s)),
            Self::Lasted { for_s: 0 } => write!(f, "fires at once"),
            Self::Lasted { for_s } => write!(f, "lasted {}", span(for_s)),
            Self::GoneBeforeFiring => write!(f, "gone before it fired"),
            Self::Recovering { keep_firing_for_s } => write!(f, "gone; kept firing for {}", span(keep_firing_for_s)),
            Self::CameBack => write!(f, "came back while recovering"),
            Self::Cleared => write!(f, "cleared"),
            Self::RuleRemoved => write!(f, "its rule was removed"),
            Self::RuleOff { detail } => write!(f, "its rule is {detail}"),
            Self::Held { detail } => write!(f, "held: {detail}"),
            Self::Gap { gap_s } => write!(f, "{} without an evaluation do not count", span(gap_s)),
            Self::FirstOfEpisode => write!(f, "first notice of this episode"),
            Self::SeverityRose { from } => write!(f, "severity rose from {from}"),
            Self::WindowOver { dedup_s } => write!(f, "still firing {} after the last notice", span(dedup_s)),
            Self::Deduplicated { until } => write!(f, "told already; again after {}", until.format("%Y-%m-%d %H:%M:%SZ")),
            Self::NoRepeat => write!(f, "told already; repeats are off"),
            Self::OnItsWay => write!(f, "a notice is on its way"),
            Self::ToldOfFiring => write!(f, "the channel was told of the firing"),
            Self::NeverTold => write!(f, "the channel was never told of the firing"),
            Self::Window { name, until } => write!(f, "maintenance window `{name}` until {}", until.format("%Y-%m-%d %H:%MZ")),
            Self::NotRouted => write!(f, "no route leads to a channel"),
            Self::Silenced { id, author, until } => {
                write!(f, "silence {id} by {author} until {}", until.format("%Y-%m-%d %H:%MZ"))
            }
            Self::Inhibited { name, by } => write!(f, "inhibited by {by} (`{name}`)"),
            Self::Acked { who, until: None } => write!(f, "acknowledged by {who}"),
            Self::Acked { who, until: Some(until) } => write!(f, "acknowledged by {who} until {}", until.format("%Y-%m-%d %H:%MZ")),
            Self::Flapping { percent } => write!(f, "flapping: {percent} % of its last evaluations changed it"),
            Self::Settled => write!(f, "it has settled"),
            Self::Lowered { from } => write!(f, "severity fell from {from}"),
            Self::Acknowledged { who } => write!(f, "{who} has acknowledged it"),
            Self::AckEnded { detail } => write!(f, "the acknowledgement has ended: {detail}"),
            Self::Escalated { name, after_s } => write!(f, "not acknowledged for {} (`{name}`)", span(after_s)),
            Self::TooMild { at_least } => write!(f, "the channel is told of {at_least} and worse"),
            Self::OutOfReach { action } => write!(f, "the rule's `action: {action}` does not reach this channel"),
            Self::EndsNotTold => write!(f, "the channel is not told of ends"),
            Self::LastOfSilence => write!(f, "the last alert that it kept back is over"),
            Self::Duplicate { count } => write!(f, "reported {count} times; the worst counts"),
            Self::TargetRemoved => write!(f, "its target was removed from the config"),
        }
    }
}

/// One change of an alert's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Its episode.
    pub episode: String,
    /// Rule id.
    pub rule: String,
    /// Whom it is about.
    pub subject: Labels,
    /// Severity after it.
    pub severity: Severity,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// One line of the alert.
    pub summary: String,
    /// SHA-256 of the rule's text or of the plugin's file behind it, hex; empty for what no file is behind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule_hash: String,
    /// What matchers saw of it beside its subject and severity; shared by the alerts of a rule.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// When.
    pub at: DateTime<Utc>,
}

impl Transition {
    /// All that matchers saw of the alert.
    #[must_use]
    pub fn flat_labels(&self) -> Labels {
        flat(&self.subject, &self.labels, self.severity)
    }
}

/// A choice that is not a transition: why a notice was or was not made, or why a state is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// The channel, when the choice is about one.
    pub channel: Option<String>,
    /// Whether something was sent.
    pub sent: bool,
    /// Why.
    pub reason: Reason,
}

/// All that a tick decided for one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The book after the tick; `told` is as it was, since only a delivery changes it.
    pub book: Book,
    /// Alerts that are new or differ from the book before.
    pub changed: Vec<Fingerprint>,
    /// Alerts that left the book.
    pub removed: Vec<Fingerprint>,
    /// State changes.
    #[serde(rename = "transitions")]
    pub steps: Vec<Step>,
    /// What channels are to be told.
    #[serde(rename = "notices")]
    pub tellings: Vec<Telling>,
    /// Why each notice was or was not made, where that has changed since the last tick.
    pub records: Vec<DecisionRecord>,
    /// Acknowledgements that ended, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_acks: Vec<(Fingerprint, Reason)>,
    /// Silences that ended before their time, by id, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_silences: Vec<(String, Reason)>,
}

impl Decision {
    /// What channels are to be told, written out one at a time.
    pub fn notices(&self) -> impl DoubleEndedIterator<Item = Notice> {
        self.tellings.iter().map(Telling::notice)
    }

    /// State changes, written out one at a time.
    pub fn transitions(&self) -> impl DoubleEndedIterator<Item = Transition> {
        self.steps.iter().map(Step::transition)
    }
}

/// Notices of one alert to one channel that wait, were never tried, and are not to be told now.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawn {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Its episode.
    pub episode: String,
    /// The channel.
    pub channel: String,
    /// Which of them.
    pub kinds: Vec<NoticeKind>,
    /// Why.
    pub reason: Reason,
    /// Where each escalation goes on when its notice is among them: name, and steps that stay taken.
    pub steps: Vec<(String, usize)>,
}
