//! A scripted rule: checked at load as far as a script can be, then evaluated once a tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{AST, Dynamic, Scope};

use super::Engine;
use super::conclude::{FrameUse, conclude};
use super::error::{Place, of_parse, unknown_name};
use super::expression::{frame_value, guarded, views};
use super::inspect::{Inspection, Type, inspect, is_reserved};
use super::looks::{Look, Script};
use super::run::Run;
use super::settings::{ScriptSettings, setting};
use super::trial::trials;
use super::view::{Row, View};
use crate::model::{Catalog, ColumnKind, Input, Labels, Outcome, RuleInput, RuleMeta, Settings};
use crate::problem::{Mark, Problem};
use crate::rules::meta::Header;
use crate::rules::missing::missing;
use crate::rules::{Condition, Facts, Rule};

/// Compiles the body of a script. `header` is what its `//!` lines say (a `RuleMeta` will do); its `inputs` name the frames,
/// and the columns are found here. `first_line` is the body's first line in the file.
///
/// # Errors
/// All that is wrong, at its place in the file.
pub fn compile_script(
    engine: &Arc<Engine>,
    header: impl Into<Header>,
    source: &str,
    file: &str,
    first_line: u32,
    catalog: &Catalog,
) -> Result<Box<dyn Rule>, Vec<Problem>> {
    let Header { mut meta, subject, require } = header.into();
    let place = Place { file: file.into(), at: Mark { line: first_line, column: 1 } };
    if source.len() > engine.limits().source_bytes {
        let most = pgsteward_helpers::bytes(engine.limits().source_bytes as f64);
        return Err(vec![Problem::error(file, None, format!("the script has {} bytes, at most {most} are read", source.len()))]);
    }
    let uses = frames(&meta, file, catalog)?;
    let ast = parse(engine, source, &place, &meta, &uses, catalog)?;
    let mut names: BTreeMap<String, Type> = uses.iter().map(|used| (used.def.name.clone(), Type::Frame(used.def.clone()))).collect();
    names.insert("settings".into(), Type::Settings);
    let seen = inspect(&ast, &place, names.clone(), &meta.settings);
    let mut problems = check_names(&meta, &subject, &seen, &uses, file);
    declare(&mut meta, &seen, &uses);
    problems.extend(seen.problems);
    if !seen.finds {
        problems.push(Problem::error(file, place.at, "the script never calls `finding`").hint("without one the rule can never fire"));
    }
    let require = require.map(|(text, at)| Require::compile(engine, &text, Place { file: file.into(), at }, &meta)).transpose();
    let require = require.unwrap_or_else(|found| {
        problems.extend(found);
        None
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let looks = Script { engine, ast: &ast, source, place: &place, names, settings: &meta.settings }.looks(&seen.looks);
    let rule = ScriptRule { engine: engine.clone(), meta: Arc::new(meta), subject, uses, ast, place, require, looks };
    rule.try_out()?;
    Ok(Box::new(rule))
}

/// The frames that the header names.
fn frames(meta: &RuleMeta, file: &str, catalog: &Catalog) -> Result<Vec<FrameUse>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut uses: Vec<FrameUse> = Vec::new();
    for input in &meta.inputs {
        match catalog.frame(&input.frame) {
            Some(def) if uses.iter().all(|used| used.def.name != def.name) => {
                uses.push(FrameUse { def: def.clone(), optional: input.optional })
            }
            Some(_) => {}
            None => {
                let near = Catalog::nearest(catalog.frames().map(|def| def.name.as_str()), &input.frame);
                let problem = Problem::error(file, None, format!("`inputs`: there is no frame `{}`", input.frame));
                problems.push(match near {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
    }
    if problems.is_empty() { Ok(uses) } else { Err(problems) }
}

fn parse(engine: &Engine, source: &str, place: &Place, meta: &RuleMeta, uses: &[FrameUse], catalog: &Catalog) -> Result<AST, Vec<Problem>> {
    let mut scope = Scope::new();
    for used in uses {
        scope.push(used.def.name.clone(), ());
    }
    scope.push("settings", ());
    engine.parser().compile_with_scope(&scope, source).map_err(|error| {
        let mut located = of_parse(&error);
        if let Some(name) = unknown_name(&error) {
            located.message = unknown(name, meta, uses, catalog);
        }
        vec![place.problem(located.at, located.message)]
    })
}

fn unknown(name: &str, meta: &RuleMeta, uses: &[FrameUse], catalog: &Catalog) -> String {
    if catalog.frame(name).is_some() {
        return format!("frame `{name}` is not among the inputs of `{}`; add it to `inputs:`", meta.id);
    }
    let known = uses.iter().map(|used| used.def.name.as_str()).chain(["settings"]);
    let near = Catalog::nearest(known, name).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("unknown name `{name}`{near}")
}

/// What the header says that the frames cannot keep.
fn check_names(meta: &RuleMeta, subject: &[String], seen: &Inspection, uses: &[FrameUse], file: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = meta
        .settings
        .iter()
        .filter(|def| is_reserved(&def.name))
        .map(|def| Problem::error(file, None, format!("`settings`: `{}` is a reserved word", def.name)))
        .collect();
    let Some(used) = seen.rows_of.as_ref().and_then(|name| uses.iter().find(|used| used.def.name == *name)) else { return problems };
    for name in subject {
        if !used.def.column(name).is_some_and(|def| def.kind == ColumnKind::Label) {
            problems.push(Problem::error(file, None, format!("`subject`: `{}.{name}` is not a label", used.def.name)));
        }
    }
    problems
}

/// Writes what the script reads into what the rule declares.
fn declare(meta: &mut RuleMeta, seen: &Inspection, uses: &[FrameUse]) {
    let optional = |frame: &str| uses.iter().any(|used| used.def.name == frame && used.optional);
    let mut inputs: Vec<Input> = seen.inputs.iter().map(|input| Input { optional: optional(&input.frame), ..input.clone() }).collect();
    let unread = meta.inputs.iter().filter(|declared| seen.inputs.iter().all(|input| input.frame != declared.frame));
    inputs.extend(unread.cloned());
    meta.inputs = inputs;
    meta.from = meta.from.take().or_else(|| seen.rows_of.clone());
}

/// An expression over the settings that must hold.
#[derive(Debug)]
struct Require {
    ast: AST,
    text: String,
}

impl Require {
    fn compile(engine: &Arc<Engine>, text: &str, place: Place, meta: &RuleMeta) -> Result<Self, Vec<Problem>> {
        let mut scope = Scope::new();
        for def in &meta.settings {
            scope.push(def.name.clone(), ());
        }
        let ast = engine.parser().compile_expression_with_scope(&scope, text).map_err(|error| {
            let located = of_parse(&error);
            vec![place.problem(located.at, located.message)]
        })?;
        let require = Self { ast, text: text.into() };
        let defaults = Settings(meta.settings.iter().map(|def| (def.name.clone(), def.default.clone())).collect());
        require.check(engine, &Arc::new(meta.clone()), &defaults).map_err(|message| vec![place.problem(None, message)])?;
        Ok(require)
    }

    fn check(&self, engine: &Arc<Engine>, meta: &Arc<RuleMeta>, settings: &Settings) -> Result<(), String> {
        let mut scope = Scope::new();
        for (name, value) in &settings.0 {
            scope.push_dynamic(name.clone(), setting(value).into());
        }
        let nothing = super::trial::nothing(settings);
        let run: Arc<Run> = engine.begin(meta.clone(), Vec::new(), &nothing);
        match guarded(|| engine.runner(&run).eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast)) {
            Ok(value) if value.as_bool() == Ok(true) => Ok(()),
            Ok(value) if value.as_bool() == Ok(false) => Err(format!("the settings do not fit each other: `{}` does not hold", self.text)),
            Ok(_) => Err("`require` must be true or false".into()),
            Err(error) => Err(error.message),
        }
    }
}

/// Whether all conditions hold.
fn all(conditions: &[Condition]) -> Option<bool> {
    let holds = |answer| conditions.iter().any(|condition| condition.holds == answer);
    if holds(Some(false)) { Some(false) } else { (!holds(None)).then_some(true) }
}

/// The frames of an input, by name.
type Views = BTreeMap<String, Arc<View>>;

/// A checked script.
#[derive(Debug)]
struct ScriptRule {
    engine: Arc<Engine>,
    meta: Arc<RuleMeta>,
    subject: Vec<String>,
    uses: Vec<FrameUse>,
    ast: AST,
    place: Place,
    require: Option<Require>,
    /// What it asks of the rows that it loops over.
    looks: Vec<Look>,
}

impl ScriptRule {
    /// Runs it over small made-up inputs.
    fn try_out(&self) -> Result<(), Vec<Problem>> {
        for trial in trials(&self.meta, &self.uses) {
            if let Err(located) = self.run(&trial.input) {
                let message = format!("{} (with {})", located.message, trial.name);
                return Err(vec![self.place.problem(located.at, message)]);
            }
        }
        Ok(())
    }

    fn run(&self, input: &RuleInput) -> Result<crate::model::Evaluation, super::error::Located> {
        let run = self.engine.begin(self.meta.clone(), self.subject.clone(), input);
        let views = views(input, &self.uses);
        self.go(&run, &views)?;
        let views: Vec<Arc<View>> = views.into_values().collect();
        Ok(conclude(&run, &views, &self.uses))
    }

    /// Leaves the variables of the script behind.
    fn go(&self, run: &Arc<Run>, views: &Views) -> Result<Scope<'static>, super::error::Located> {
        let mut scope = Scope::new();
        for used in &self.uses {
            scope.push_dynamic(used.def.name.clone(), frame_value(views, &used.def.name));
        }
        scope.push("settings", ScriptSettings(run.input.settings.clone()));
        let engine = self.engine.runner(run);
        guarded(|| engine.run_ast_with_scope(&mut scope, &self.ast))?;
        Ok(scope)
    }

    /// What it asked of a subject's rows, with the conditions of each mask apart where they can be told apart.
    fn told_apart(
        &self,
        run: &Arc<Run>,
        views: &Views,
        mut scope: Scope<'static>,
        subject: &Labels,
        asked: Vec<Condition>,
    ) -> Vec<Condition> {
        let row_of = |look: &Look| {
            let view = views.get(&look.frame)?;
            let row = run.rows_of(view, std::slice::from_ref(subject)).into_iter().flatten().next()?;
            Some(Row { of: view.clone(), row })
        };
        let looks: Vec<(&Look, Row)> = self.looks.iter().filter_map(|look| Some((look, row_of(look)?))).collect();
        if looks.len() != asked.len() {
            return asked;
        }
        let engine = self.engine.runner(run);
        let mut apart = |(whole, (look, row)): (Condition, &(&Look, Row))| match look.asked(&engine, &mut scope, row) {
            // The proof that the mask was followed rightly: its parts come to the same.
            Some(parts) if all(&parts) == whole.holds => parts,
            _ => vec![whole],
        };
        asked.into_iter().zip(&looks).flat_map(&mut apart).collect()
    }
}

impl Rule for ScriptRule {
    fn meta(&self) -> &RuleMeta {
        &self.meta
    }

    fn evaluate(&self, input: &RuleInput) -> Outcome {
        let missing = missing(&self.meta.inputs, input);
        if !missing.is_empty() {
            return Outcome::NoData(missing);
        }
        if let Err(message) = self.check_settings(&input.settings) {
            return Outcome::Error(format!("rule `{}`: {message}", self.meta.id));
        }
        match self.run(input) {
            Ok(evaluation) => Outcome::Ok(evaluation),
            Err(located) => Outcome::Error(format!("rule `{}`: {}", self.meta.id, self.place.tell(&located))),
        }
    }

    /// The script runs with the subject's row as the only one that it loops over: what it then says is measured there.
    fn facts(&self, input: &RuleInput, subject: &Labels) -> Option<Facts> {
        let run = self.engine.begin(self.meta.clone(), self.subject.clone(), input);
        run.notes().probe = Some((subject.clone(), Vec::new()));
        let views = views(input, &self.uses);
        let scope = self.go(&run, &views).ok()?;
        let asked = run.notes().probe.take().map(|(_, asked)| asked).filter(|asked| !asked.is_empty())?;
        let holds = |answer| asked.iter().any(|condition| condition.holds == answer);
        let found = if holds(Some(true)) { Some(true) } else { (!holds(None)).then_some(false) };
        let evidence = run.notes().findings.iter().find(|finding| finding.subject == *subject).map(|finding| finding.evidence.clone());
        // Rows that are looped over may still be left out by an `if` in the loop.
        let left_out = found == Some(true) && evidence.is_none();
        let silent = Condition::plain("finding", "the script looks at it and reports nothing", Some(false));
        let mut conditions = self.told_apart(&run, &views, scope, subject, asked);
        conditions.extend(left_out.then_some(silent));
        Some(Facts { found: if left_out { Some(false) } else { found }, evidence: evidence.unwrap_or_default(), conditions })
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), String> {
        self.require.as_ref().map_or(Ok(()), |require| require.check(&self.engine, &self.meta, settings))
    }
}
