//! Single expressions over one frame, with the frame's name left out: what the rich YAML form is made of.
//!
//! The same language as in scripts. A name is a column of the rule's frame, `value`, `settings`, or another frame. An
//! expression is evaluated in bulk for conditions, and over one row for the messages of the few rows that are left.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rhai::{AST, Dynamic, Expr, Scope, Stmt};

use super::column::{Buffer, Mask};
use super::conclude::{FrameUse, conclude};
use super::error::{Located, Place, Trouble, of_parse, of_run, unknown_name};
use super::guard::{Part, parts, tree_of};
use super::inspect::{Type, inspect};
use super::run::Run;
use super::settings::ScriptSettings;
use super::value::{FrameValue, Value, at_row};
use super::view::{Row, View, WAS_FIRING};
use super::{Engine, functions};
use crate::model::{Catalog, Evaluation, Finding, FrameDef, Input, Labels, Moment, RuleInput, RuleMeta, SettingDef};
use crate::problem::Problem;

/// The names that an expression may use.
pub(in crate::rules) struct Names<'a> {
    /// The rule's frame.
    pub(in crate::rules) from: &'a Arc<FrameDef>,
    /// All frames.
    pub(in crate::rules) catalog: &'a Catalog,
    /// The rule's settings.
    pub(in crate::rules) settings: &'a [SettingDef],
    /// Whether the rule has a `value` by now.
    pub(in crate::rules) value: bool,
}

impl Names<'_> {
    fn types(&self) -> BTreeMap<String, Type> {
        let frames = self.catalog.frames().map(|def| (def.name.clone(), Type::Frame(def.clone())));
        let columns = self.from.columns.iter().map(|c| c.name.as_str()).chain([WAS_FIRING]);
        let columns = columns.map(|name| (name.to_string(), Type::Column(self.from.clone(), name.to_string())));
        // The later of equals wins: a column hides a frame of its name, `value` and `settings` hide a column.
        let mut types: BTreeMap<String, Type> = frames.chain(columns).collect();
        types.insert("settings".into(), Type::Settings);
        if self.value {
            types.insert("value".into(), Type::Other);
        }
        types
    }
}

/// A checked expression.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Expression {
    ast: AST,
    text: String,
    place: Place,
    variables: BTreeSet<String>,
    inputs: BTreeSet<Input>,
}

impl Expression {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// All that is wrong with it, at its place in the file.
    pub(in crate::rules) fn compile(engine: &Engine, text: &str, place: Place, names: &Names<'_>) -> Result<Self, Vec<Problem>> {
        if text.len() > engine.limits().source_bytes {
            return Err(vec![place.problem(None, "the expression is too long")]);
        }
        let types = names.types();
        let mut scope = Scope::new();
        for name in types.keys() {
            scope.push(name.clone(), ());
        }
        let ast = engine.parser().compile_expression_with_scope(&scope, text).map_err(|error| {
            let mut located = of_parse(&error);
            if let Some(name) = unknown_name(&error) {
                located.message = unknown(name, &types, names);
            }
            vec![place.problem(located.at, located.message)]
        })?;
        let seen = inspect(&ast, &place, types, names.settings);
        if !seen.problems.is_empty() {
            return Err(seen.problems);
        }
        Ok(Self { ast, text: text.to_string(), place, variables: seen.variables, inputs: seen.inputs })
    }

    /// As it was written.
    pub(in crate::rules) fn text(&self) -> &str {
        &self.text
    }

    /// What it reads.
    pub(in crate::rules) fn inputs(&self) -> &BTreeSet<Input> {
        &self.inputs
    }

    /// What it joins by `and`, each by itself; itself when it joins nothing.
    pub(in crate::rules) fn guards(&self, names: &Names<'_>) -> Vec<Self> {
        let [Stmt::Expr(root)] = self.ast.statements() else { return vec![self.clone()] };
        let guard = |part: Part<'_>| {
            let ast = tree_of(part.expr);
            let seen = inspect(&ast, &self.place, names.types(), names.settings);
            Self { ast, text: part.text(), place: self.place.clone(), variables: seen.variables, inputs: seen.inputs }
        };
        parts(root, &self.text, 0..self.text.len()).into_iter().map(guard).collect()
    }

    /// The right side of `value > ..`, as text: what the value is held against.
    pub(in crate::rules) fn limit(&self) -> Option<String> {
        let [Stmt::Expr(root)] = self.ast.statements() else { return None };
        let Expr::FnCall(call, _) = &**root else { return None };
        let [Expr::Variable(name, ..), _] = &call.args[..] else { return None };
        if name.1 != "value" || !matches!(call.name.as_str(), ">" | ">=" | "<" | "<=") {
            return None;
        }
        // Positions inside the right side are of no use: that of a sum is its operator.
        let right = self.text.trim_start().strip_prefix("value")?.trim_start().strip_prefix(call.name.as_str())?;
        Some(right.trim().to_string())
    }
}

fn unknown(name: &str, types: &BTreeMap<String, Type>, names: &Names<'_>) -> String {
    if name == "value" {
        return "`value` is not declared; add `value:` to the rule".into();
    }
    let own = types.iter().filter(|(_, found)| !matches!(found, Type::Frame(_))).map(|(name, _)| name.as_str());
    let near = Catalog::nearest(own.chain(functions::names()), name).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("frame `{}` has no column `{name}`{near}", names.from.name)
}

/// The evaluation of one rule's expressions over one input.
pub(in crate::rules) struct Session {
    run: Arc<Run>,
    engine: rhai::Engine,
    from: Arc<View>,
    views: BTreeMap<String, Arc<View>>,
    value: Option<Value>,
}

impl Session {
    /// Begins; the frames must be there.
    ///
    /// # Errors
    /// When the rule's own frame is not.
    pub(in crate::rules) fn begin(engine: &Engine, meta: &Arc<RuleMeta>, input: &RuleInput, uses: &[FrameUse]) -> Result<Self, String> {
        let run = engine.begin(meta.clone(), Vec::new(), input);
        let views = views(input, uses);
        let from = meta.from.as_ref().and_then(|name| views.get(name)).cloned();
        let from = from.ok_or_else(|| "the rule's frame is not there".to_string())?;
        Ok(Self { engine: engine.runner(&run), run, from, views, value: None })
    }

    /// Rows of the rule's frame.
    pub(in crate::rules) fn rows(&self) -> usize {
        self.from.rows()
    }

    /// Who a row is.
    pub(in crate::rules) fn subject(&self, row: usize) -> Labels {
        self.run.subject_of(&Row { of: self.from.clone(), row })
    }

    /// Rows whose alert fires or recovers.
    pub(in crate::rules) fn firing_rows(&self) -> Vec<usize> {
        self.run.rows_of(&self.from, &self.run.input.firing).into_iter().flatten().collect()
    }

    /// The row of a subject.
    pub(in crate::rules) fn row_of(&self, subject: &Labels) -> Option<usize> {
        self.run.rows_of(&self.from, std::slice::from_ref(subject)).into_iter().flatten().next()
    }

    /// Works out `value`, which later expressions read.
    pub(in crate::rules) fn set_value(&mut self, expression: &Expression) -> Result<(), String> {
        let value = self.bulk(expression)?;
        match value {
            Value::Column(_) | Value::Int(_) | Value::Float(_) | Value::Unknown => self.value = Some(value),
            other => return Err(self.told(expression, format!("`value` must be a number or a column, this is {}", other.kind()))),
        }
        Ok(())
    }

    /// A condition: 0, 1 or 2 (unknown) for each row.
    pub(in crate::rules) fn condition(&self, expression: &Expression) -> Result<Vec<u8>, String> {
        match self.bulk(expression)? {
            Value::Mask(mask) if mask.of.is_same(&self.from) => Ok(mask.values.to_vec()),
            Value::Mask(mask) if mask.of.is_one_row() => Ok(vec![mask.values.first().copied().unwrap_or(2); self.rows()]),
            Value::Mask(mask) => Err(self.told(expression, format!("this condition is about `{}`", mask.of.name()))),
            Value::Flag(flag) => Ok(vec![u8::from(flag); self.rows()]),
            other => Err(self.told(expression, format!("a condition must be true or false, this is {}", other.kind()))),
        }
    }

    /// The rule's value at one row; `expression` is where it came from.
    pub(in crate::rules) fn value_at(&self, expression: &Expression, row: usize) -> Result<Option<f64>, String> {
        let value = self.value.as_ref().map(|value| at_row(value, &Row { of: self.from.clone(), row })).transpose();
        let value = value.map_err(|trouble| self.told(expression, trouble.message()))?;
        Ok(value.and_then(|value| value.as_number()).filter(|number| !number.is_nan()))
    }

    /// A number of one row. What reads rates or windows is worked out for all rows, since those belong to columns.
    pub(in crate::rules) fn number(&self, expression: &Expression, row: usize) -> Result<Option<f64>, String> {
        let value = if expression.inputs.iter().all(|input| input.moment == Moment::Now) {
            self.one(expression, row)?
        } else {
            let row = Row { of: self.from.clone(), row };
            at_row(&self.bulk(expression)?, &row).map_err(|trouble| self.told(expression, trouble.message()))?
        };
        let number = match &value {
            Value::Flag(flag) => Some(f64::from(u8::from(*flag))),
            other => other.as_number(),
        };
        match number {
            Some(number) => Ok((!number.is_nan()).then_some(number)),
            None => Err(self.told(expression, format!("this must be a number, it is {}", value.kind()))),
        }
    }

    /// A value of one row as it reads in a message.
    pub(in crate::rules) fn shown(&self, expression: &Expression, row: usize) -> Result<String, String> {
        Ok(self.one(expression, row)?.shown())
    }

    /// Keeps a finding.
    pub(in crate::rules) fn add(&self, finding: Finding) -> Result<(), String> {
        self.run.add(finding).map_err(Trouble::message)
    }

    /// Ends; `verdicts` are those on all rows of the rule's frame.
    pub(in crate::rules) fn end(self, verdicts: Vec<u8>, uses: &[FrameUse]) -> Result<Evaluation, String> {
        let values = Buffer::made(self.run.meter(), verdicts.into_iter());
        let values = values.map_err(Trouble::message)?;
        self.run.notes().judged.push(Mask { values, of: self.from.clone() });
        let views: Vec<Arc<View>> = self.views.into_values().collect();
        Ok(conclude(&self.run, &views, uses))
    }

    fn bulk(&self, expression: &Expression) -> Result<Value, String> {
        self.evaluate(expression, |name| match (name, &self.value) {
            ("value", Some(value)) => Ok(value.clone()),
            _ if self.is_column(name) => Ok(self.from.column(&self.run, name)?.into()),
            _ => Ok(self.shared(name)),
        })
    }

    fn one(&self, expression: &Expression, row: usize) -> Result<Value, String> {
        let row = Row { of: self.from.clone(), row };
        // `rate`, `prev`, `delta` and `ago` take whole columns.
        if expression.inputs().iter().any(|input| input.moment != Moment::Now) {
            return at_row(&self.bulk(expression)?, &row).map_err(|trouble| self.told(expression, trouble.message()));
        }
        self.evaluate(expression, |name| match (name, &self.value) {
            ("value", Some(value)) => at_row(value, &row),
            _ if self.is_column(name) => row.cell(&self.run, name),
            _ => Ok(self.shared(name)),
        })
    }

    fn is_column(&self, name: &str) -> bool {
        name != "settings" && (name == WAS_FIRING || self.from.frame.def.column(name).is_some())
    }

    fn shared(&self, name: &str) -> Value {
        match self.views.get(name) {
            _ if name == "settings" => Value::Settings(ScriptSettings(self.run.input.settings.clone())),
            Some(view) => Value::Frame(view.clone()),
            None => Value::Unknown,
        }
    }

    fn evaluate(&self, expression: &Expression, variable: impl Fn(&str) -> Result<Value, Trouble>) -> Result<Value, String> {
        let mut scope = Scope::new();
        for name in &expression.variables {
            let value = variable(name).map_err(|trouble| self.told(expression, trouble.message()))?;
            scope.push_dynamic(name.clone(), value.into());
        }
        let result = guarded(|| self.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &expression.ast));
        result.map(Value::from).map_err(|error| expression.place.tell(&error))
    }

    fn told(&self, expression: &Expression, message: String) -> String {
        expression.place.tell(&Located { message, at: None })
    }
}

/// The frames that are there, as scripts see them.
pub(super) fn views(input: &RuleInput, uses: &[FrameUse]) -> BTreeMap<String, Arc<View>> {
    let view = |used: &FrameUse| {
        let name = &used.def.name;
        let frame = input.snapshot.frame(name)?;
        Some((name.clone(), View::new(frame.clone(), input.changes.frames.get(name).cloned())))
    };
    uses.iter().filter_map(view).collect()
}

/// Scope entry of a frame; NULL when an optional one is not there.
pub(super) fn frame_value(views: &BTreeMap<String, Arc<View>>, name: &str) -> Dynamic {
    views.get(name).map_or(Dynamic::UNIT, |view| Dynamic::from(FrameValue(view.clone())))
}

/// Runs the engine. It is someone else's code fed with someone else's text: should it panic, the rule fails alone.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, Box<rhai::EvalAltResult>>) -> Result<T, Located> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| of_run(&error)),
        Err(panic) => Err(Located { message: format!("the script engine broke: {}", panic_text(&*panic)), at: None }),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
