//! The nouns of the house, and nothing else: no IO, no clock, no other room.
//!
//! Words, each for one thing: a *target* is a server under watch; a *metric* is how one frame is collected; a *frame*
//! is a table of described *columns*; a *snapshot* is all frames of one tick; *changes* are what counters did since the
//! previous one; a *rule* turns these into *findings*; an *alert* is a finding with a life (pending, firing, recovering)
//! and an *episode* is one such life; its *fingerprint* is who it is; a *notice* is what a *channel* is told; the
//! *outbox* holds notices until they are told; an *action* is advice with SQL; a *tick* is one turn of the whole flow.

pub mod action;
pub mod alert;
pub mod changes;
pub mod column;
pub mod decision;
pub mod few;
pub mod finding;
pub mod frame;
pub mod labels;
pub mod matcher;
pub mod metric;
pub mod notice;
pub mod policy;
pub mod rule;
pub mod severity;
pub mod silence;
pub mod snapshot;
pub mod target;
pub mod telling;
pub mod tick;

pub use action::{ActionKind, ActionRequest};
pub use alert::{Alert, Book, ChannelHealth, Elsewhere, Escalated, Fingerprint, Flap, RuleHealth, State, Told};
pub use changes::{ChangeState, Changes, FrameChanges};
pub use column::{ColumnDef, ColumnKind, Sensitivity, Unit};
pub use decision::{Decision, DecisionRecord, Reason, Transition, Withdrawn};
pub use few::Few;
pub use finding::{Evidence, Finding, Link};
pub use frame::{Catalog, ColumnData, Coverage, Frame, FrameDef, TextColumn};
pub use labels::Labels;
pub use matcher::{Matcher, Matchers, Op};
pub use metric::{CostClass, Metric, Need, Role, Scope};
pub use notice::{Group, Notice, NoticeKind};
pub use policy::{
    ChannelPolicy, DecideConfig, Escalation, EscalationStep, Flapping, Inhibition, MaintenanceWindow, Reach, Route, RuleOverride,
};
pub use rule::{Evaluation, Held, Input, Moment, Outcome, RuleInput, RuleMeta, RuleOutcome, SettingDef, SettingValue, Settings, Tier};
pub use severity::Severity;
pub use silence::{Ack, AckMode, Silence};
pub use snapshot::{Cost, Missing, MissingReason, Reading, Server, Snapshot};
pub use target::Target;
pub use telling::{About, Aside, Behind, Step, Telling};
pub use tick::Tick;
