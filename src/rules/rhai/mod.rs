//! Scripted rules: the vector language, its engine and its limits. The rich YAML form uses the same language.
//!
//! Flow: `script` compiles a body, `inspect` reads its syntax tree (columns, functions, settings, windows), `trial` runs it
//! over small frames; then, once a tick, `run` holds one evaluation and `conclude` says what it proves. Values are told
//! apart in `value`, joined in `operators` and `functions`, looped over in `column`.
//!
//! The engine is Rhai without any of its packages: no `sleep`, `exit`, `eval` or text bombs, and every operator is ours,
//! because Rhai answers `false` for pairs that nobody registered. Its optimizer stays off: it replaces loop variables by
//! constants of the same name. An engine is made for each evaluation (a microsecond) around one shared library, so that
//! the limits, the deadline and the findings are the evaluation's own.

mod chain;
mod column;
mod conclude;
mod error;
mod expression;
pub mod functions;
mod guard;
mod index;
mod inspect;
mod limits;
mod looks;
mod operators;
mod run;
mod script;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
mod value;
mod view;

use std::sync::Arc;

use rhai::{Array, Dynamic, INT, ImmutableString, Module, OptimizationLevel};

use column::{Column, Mask, Texts};
use index::Indexes;
use run::{Run, RunTag};
use settings::ScriptSettings;
use value::{FrameValue, Value};
use view::{Row, Rows};

pub use limits::Limits;
pub use script::compile_script;

pub(in crate::rules) use conclude::FrameUse;
pub(in crate::rules) use error::Place;
pub(in crate::rules) use expression::{Expression, Names, Session};
pub(in crate::rules) use functions::with_why;
pub(in crate::rules) use inspect::is_reserved;
pub(in crate::rules) use trial::trials;

/// What all scripted rules of a process share.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    library: rhai::Shared<Module>,
    indexes: Arc<Indexes>,
}

impl Engine {
    /// An engine with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, library: library().into(), indexes: Arc::default() })
    }

    /// The limits of each evaluation.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A parser of the language.
    fn parser(&self) -> rhai::Engine {
        let mut engine = self.bare();
        engine.set_strict_variables(true).set_allow_anonymous_fn(false).set_max_expr_depths(64, 32).set_max_functions(32);
        for symbol in operators::REFUSED.into_iter().chain(["eval", "print", "debug", "Fn", "call", "curry", "try"]) {
            engine.disable_symbol(symbol);
        }
        for (word, precedence) in [("or", 30), ("and", 60)] {
            // Both are plain identifiers of Rhai, so that this cannot be refused.
            if engine.register_custom_operator(word, precedence).is_err() {
                debug_assert!(false, "`{word}` is no operator");
            }
        }
        engine
    }

    /// An engine for one evaluation.
    fn runner(&self, run: &Arc<Run>) -> rhai::Engine {
        let mut engine = self.bare();
        let deadline = run.meter().deadline();
        engine.on_progress(move |operations| deadline.over_after(operations).map(Dynamic::from));
        engine.set_default_tag(Dynamic::from(RunTag(run.clone())));
        engine
    }

    fn bare(&self) -> rhai::Engine {
        let limits = &self.limits;
        let mut engine = rhai::Engine::new_raw();
        engine.register_global_module(self.library.clone());
        engine.set_optimization_level(OptimizationLevel::None).set_fast_operators(false).set_fail_on_invalid_map_property(true);
        engine.set_max_operations(limits.operations).set_max_call_levels(limits.call_levels).set_max_variables(limits.variables);
        engine.set_max_string_size(limits.string_bytes).set_max_array_size(limits.list_items).set_max_map_size(limits.map_items);
        engine
    }

    fn begin(&self, meta: Arc<crate::model::RuleMeta>, subject: Vec<String>, input: &crate::model::RuleInput) -> Arc<Run> {
        Run::new(meta, subject, input.clone(), self.limits.clone(), self.indexes.clone())
    }
}

/// All types, properties, operators and functions.
fn library() -> Module {
    let mut module = Module::new();
    module.set_custom_type::<Column>("column").set_custom_type::<Mask>("mask").set_custom_type::<Texts>("text column");
    module.set_custom_type::<FrameValue>("frame").set_custom_type::<Row>("row").set_custom_type::<Rows>("rows");
    module.set_custom_type::<ScriptSettings>("settings");
    operators::register(&mut module);
    functions::register(&mut module);
    register_properties(&mut module);
    module.set_iterable::<Rows>().set_iterable::<Array>();
    module.set_iterator::<std::ops::Range<INT>>().set_iterator::<std::ops::RangeInclusive<INT>>();
    module.build_index();
    module
}

/// `frame.column`, `t.column`, `column[t]`, `settings.name`, and how values read in a text.
fn register_properties(module: &mut Module) {
    use rhai::NativeCallContext as Context;
    type Got<T> = Result<T, Box<rhai::EvalAltResult>>;
    let run = |context: &Context<'_>| run::run_of(Some(context));
    module.set_indexer_get_fn(move |context: Context, frame: &mut FrameValue, name: ImmutableString| -> Got<Dynamic> {
        Ok(Value::from(frame.0.column(&*run(&context)?, &name)?).into())
    });
    module.set_indexer_get_fn(move |context: Context, row: &mut Row, name: ImmutableString| -> Got<Dynamic> {
        Ok(row.cell(&*run(&context)?, &name)?.into())
    });
    module.set_indexer_get_fn(|settings: &mut ScriptSettings, name: ImmutableString| -> Got<Dynamic> { Ok(settings.get(&name)?.into()) });
    module.set_indexer_get_fn(|column: &mut Column, row: Row| -> Got<Dynamic> {
        Ok(value::at_row(&Value::Column(column.clone()), &row)?.into())
    });
    module.set_indexer_get_fn(|mask: &mut Mask, row: Row| -> Got<Dynamic> { Ok(value::at_row(&Value::Mask(mask.clone()), &row)?.into()) });
    module.set_indexer_get_fn(|texts: &mut Texts, row: Row| -> Got<Dynamic> {
        Ok(value::at_row(&Value::Texts(texts.clone()), &row)?.into())
    });
    // How a value reads inside of `${..}`.
    operators::set_native(module, "to_string", &[std::any::TypeId::of::<Dynamic>()], false, |_, args| {
        Ok(Value::text(operators::take(args, 0).shown()).into())
    });
}
