//! Version 1 of the contract: calls a component, each time in a store of its own.

mod answer;
pub mod bindings;

use std::sync::Arc;

use wasmtime::Store;

use crate::failure::{Failure, FailureKind, classify};
use crate::store::{LogLine, State, Texts};
use crate::words::one_line;
use crate::{Component, Engine, Limits, NoTexts, Use};
use answer::Answer;
use bindings::pgsteward::plugin::host;
use bindings::pgsteward::plugin::types::{EntryParam, Evaluation, Input, PluginDef};

/// What a call came to, whichever way it ended.
#[derive(Debug)]
pub struct Called<T> {
    /// What it answered, or why it did not.
    pub answer: Result<T, Failure>,
    /// What it used.
    pub used: Use,
    /// What it logged.
    pub log: Vec<LogLine>,
}

impl Component {
    /// What the plugin says of itself.
    #[must_use]
    pub fn describe(&self, limits: &Limits) -> Called<PluginDef> {
        self.call(limits, Arc::new(NoTexts), |plugin, store| plugin.pgsteward_plugin_rules().call_describe(store).map(Ok))
    }

    /// Whether the settings of a rule fit each other; what is wrong with them where not.
    #[must_use]
    pub fn validate_settings(&self, limits: &Limits, rule: &str, settings: &[EntryParam<'_>]) -> Called<Result<(), Vec<String>>> {
        self.call(limits, Arc::new(NoTexts), |plugin, store| {
            plugin.pgsteward_plugin_rules().call_validate_settings(store, rule, settings).map(Ok)
        })
    }

    /// Judges an input.
    #[must_use]
    pub fn evaluate(&self, limits: &Limits, texts: Arc<dyn Texts>, rule: &str, input: Input<'_>) -> Called<Evaluation> {
        self.call(limits, texts, |plugin, store| {
            let answer = plugin.pgsteward_plugin_rules().call_evaluate(store, rule, input)?;
            Ok(answer.map_err(|message| Failure { kind: FailureKind::Refused, message: one_line(&message) }))
        })
    }

    fn call<T: Answer>(
        &self,
        limits: &Limits,
        texts: Arc<dyn Texts>,
        run: impl FnOnce(&bindings::Plugin, &mut Store<State>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Called<T> {
        let mut store = Store::new(&self.engine.inner, State::new(*limits, texts));
        store.limiter(|state| state);
        store.set_max_component_handles(HANDLES);
        store.set_hostcall_fuel(usize::try_from(limits.crossing_bytes).unwrap_or(usize::MAX));
        let _running = self.engine.running();
        // Before instantiating: a start function runs then.
        store.set_epoch_deadline(Engine::epochs(limits.wall_ms));
        let fuelled = store.set_fuel(limits.fuel);
        let ended = fuelled.and_then(|()| self.pre.instantiate(&mut store)).and_then(|plugin| run(&plugin, &mut store));
        let left = store.get_fuel().unwrap_or(0);
        let mut state = store.into_data();
        state.used.fuel = limits.fuel.saturating_sub(left);
        let answer = ended.unwrap_or_else(|error| Err(classify(&error, limits, state.last_words())));
        let answer = answer.and_then(|answer| match answer.count(limits, &mut state.used) {
            Ok(()) => Ok(answer),
            Err(hit) => Err(hit.into()),
        });
        Called { answer, used: state.used, log: state.log }
    }
}

/// Resources that a component may hold for itself; they live in the host's memory, and the contract has none.
const HANDLES: usize = 10_000;

impl host::Host for State {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::Level::Debug => "debug",
            host::Level::Info => "info",
            host::Level::Warn => "warn",
            host::Level::Error => "error",
        };
        State::log(self, level, message).map_err(wasmtime::Error::new)
    }

    fn text(&mut self, column: String, rows: Vec<u32>) -> wasmtime::Result<Result<Vec<Option<String>>, String>> {
        self.ask(&column, &rows).map_err(wasmtime::Error::new)
    }
}

impl bindings::pgsteward::plugin::types::Host for State {}
