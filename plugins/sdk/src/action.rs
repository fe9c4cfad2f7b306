//! A builder for each kind of action that the host knows: `vacuum().analyze(true).why("...")`.
//!
//! The list mirrors the host's folder `src/model/action/`, one file a kind; `tests/actions.rs` holds the two side by side. What an
//! action must have stands in the brackets of its function, what it may have are methods. The host checks all of it again.

use crate::wire::{Action, Entry, Value};

/// A number, flag or text as a parameter.
pub trait Parameter {
    /// As it crosses.
    fn value(self) -> Value;
}

impl Parameter for f64 {
    fn value(self) -> Value {
        Value::Number(self)
    }
}

impl Parameter for bool {
    fn value(self) -> Value {
        Value::Flag(self)
    }
}

impl Parameter for &str {
    fn value(self) -> Value {
        Value::Text(self.into())
    }
}

impl Parameter for String {
    fn value(self) -> Value {
        Value::Text(self)
    }
}

impl Action {
    /// An action of a kind that this SDK does not know yet.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.into(), params: Vec::new(), why: String::new(), row: None, extra: Vec::new() }
    }

    /// Sets a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Parameter) -> Self {
        self.params.push(Entry { key: name.into(), value: value.value() });
        self
    }

    /// A parameter as it was set; the last where it was set twice.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Value> {
        self.params.iter().rev().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// Why, for a person.
    #[must_use]
    pub fn why(mut self, text: impl Into<String>) -> Self {
        self.why = text.into();
        self
    }

    /// Another row of the rule's own frame than the finding's.
    #[must_use]
    pub fn on(mut self, row: u32) -> Self {
        self.row = Some(row);
        self
    }
}

macro_rules! actions {
    ($(
        $(#[$doc:meta])* $kind:ident $builder:ident ( $($must:ident: $given:ty),* ) { $( $(#[$about:meta])* $param:ident: $type:ty, )* }
    )*) => {
        $(
            $(#[$doc])*
            pub fn $kind($($must: $given),*) -> $builder {
                $builder(Action::new(stringify!($kind))$(.with(stringify!($must), $must))*)
            }

            #[doc = concat!("Made by [`", stringify!($kind), "`].")]
            #[derive(Debug, Clone, PartialEq)]
            #[must_use]
            pub struct $builder(Action);

            impl $builder {
                $(
                    $(#[$about])*
                    pub fn $param(self, value: $type) -> Self {
                        Self(self.0.with(stringify!($param), value))
                    }
                )*

                /// Why, for a person.
                pub fn why(self, text: impl Into<String>) -> Self {
                    Self(self.0.why(text))
                }

                /// Another row of the rule's own frame than the finding's.
                pub fn on(self, row: u32) -> Self {
                    Self(self.0.on(row))
                }
            }

            impl From<$builder> for Action {
                fn from(built: $builder) -> Self {
                    built.0
                }
            }
        )*

        /// Each kind with its parameters, for the test that holds them against the host's.
        #[doc(hidden)]
        pub const KINDS: &[(&str, &[&str])] = &[$((stringify!($kind), &[$(stringify!($must),)* $(stringify!($param),)*])),*];
    };
}

actions! {
    /// Sets storage parameters of the row's table; at least one.
    alter_table_storage AlterTableStorage() {
        /// Share of rows changed before an analyze, 0 to 100.
        autovacuum_analyze_scale_factor: f64,
        /// Whether autovacuum looks after the table.
        autovacuum_enabled: bool,
        /// Milliseconds of rest, 0 to 100.
        autovacuum_vacuum_cost_delay: f64,
        /// Share of dead rows before a vacuum, 0 to 100.
        autovacuum_vacuum_scale_factor: f64,
        /// Dead rows before a vacuum, beside the share; whole.
        autovacuum_vacuum_threshold: f64,
        /// How full pages are packed, per cent: 10 to 100, whole.
        fillfactor: f64,
    }
    /// Refreshes the planner's statistics of the row's table.
    analyze Analyze() {}
    /// Cancels the statement that one session runs.
    cancel_backend CancelBackend(pid: f64) {}
    /// Builds a b-tree index on the row's table; `columns` are names in order with commas between.
    create_index CreateIndex(name: &str, columns: &str) {}
    /// Drops the row's index.
    drop_index DropIndex() {
        /// Its CREATE INDEX statement, for the way back.
        definition: &str,
    }
    /// Drops the row's replication slot; its consumer must be built anew.
    drop_slot DropSlot() {}
    /// Says what a person should do; no SQL.
    note Note(text: &str) {}
    /// Rebuilds the row's index.
    reindex Reindex() {}
    /// Sets one server parameter; `value` with its unit.
    set_parameter SetParameter(name: &str, value: &str) {}
    /// Ends one session; its transaction is rolled back.
    terminate_backend TerminateBackend(pid: f64) {}
    /// Reclaims dead rows of the row's table.
    vacuum Vacuum() {
        /// Refresh the planner's statistics too.
        analyze: bool,
        /// Freeze every row that can be.
        freeze: bool,
    }
}
