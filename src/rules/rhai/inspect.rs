//! What a source reads and calls, found in its syntax tree without running it.
//!
//! Rhai finds a misspelt property or function only when it gets there, which for a rule may be the night it is needed. So
//! the tree is walked at load: each `frame.column` becomes an input with its moment, and what does not exist is a problem at
//! its place. Types are followed as far as a plain assignment or loop carries them; `trial` runs the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::chain::{Step, constant, flatten, is_tail, literal};
use super::error::{Place, mark};
use super::functions::{self, FINDING_KEYS, unknown_key};
use super::looks::Call;
use super::settings::unknown_setting;
use super::view::{WAS_FIRING, unknown_column};
use crate::model::action::kind;
use crate::model::{Catalog, FrameDef, Input, Moment, SettingDef, Severity};
use crate::problem::Problem;

/// Words of Rhai that cannot be names of columns or settings.
const RESERVED: [&str; 46] = [
    "and", "as", "async", "await", "break", "call", "case", "catch", "const", "continue", "curry", "default", "do", "else", "eval",
    "export", "false", "fn", "for", "go", "goto", "if", "import", "in", "is", "let", "loop", "match", "module", "new", "null", "or",
    "package", "private", "public", "return", "shared", "spawn", "switch", "sync", "thread", "throw", "true", "var", "void", "while",
];

/// Parameters of a function of a script's own.
const MOST_PARAMETERS: usize = 20;

/// Whether a word of the language cannot name a column.
pub(in crate::rules) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word) || matches!(word, "this" | "try" | "until" | "use" | "with" | "yield" | "exit" | "not" | "static" | "super")
}

/// What is known of a value before it is there.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Frame(Arc<FrameDef>),
    Rows(Arc<FrameDef>),
    Row(Arc<FrameDef>),
    /// A column of a frame as it stands there.
    Column(Arc<FrameDef>, String),
    Settings,
    Other,
}

/// What a source reads.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    pub(super) problems: Vec<Problem>,
    /// Never optional here; the caller knows.
    pub(super) inputs: BTreeSet<Input>,
    /// The first frame whose rows are asked for.
    pub(super) rows_of: Option<String>,
    /// All places where rows are asked for by a mask.
    pub(super) looks: Vec<Call>,
    /// Whether it can report anything.
    pub(super) finds: bool,
    /// Names of variables that it reads.
    pub(super) variables: BTreeSet<String>,
}

/// Reads a tree. `names` are the variables that the host puts into scope; scripts must not hide them.
pub(super) fn inspect(ast: &AST, place: &Place, names: BTreeMap<String, Type>, settings: &[SettingDef]) -> Inspection {
    let own = ast.iter_fn_def().map(|f| (f.name.to_string(), f.params.len())).collect();
    let protected = names.keys().cloned().collect();
    let mut reader = Reader { place, settings, own, protected, types: names, in_functions: false, seen: Inspection::default() };
    reader.own_functions(ast);
    let mut statement = 0;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if path.len() == 1 {
            statement += 1;
            if statement > ast.statements().len() && !reader.in_functions {
                // Function bodies come last. They see no variable but their parameters, of which nothing is known.
                reader.in_functions = true;
                reader.types = ast.iter_fn_def().flat_map(|f| f.params.iter().map(|name| (name.to_string(), Type::Other))).collect();
            }
        }
        reader.node(path);
        true
    });
    reader.seen
}

struct Reader<'a> {
    place: &'a Place,
    settings: &'a [SettingDef],
    /// The script's own functions.
    own: BTreeSet<(String, usize)>,
    protected: BTreeSet<String>,
    types: BTreeMap<String, Type>,
    in_functions: bool,
    seen: Inspection,
}

impl Reader<'_> {
    fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.seen.problems.push(self.place.problem(mark(at), message));
    }

    fn own_functions(&mut self, ast: &AST) {
        for function in ast.iter_fn_def() {
            if functions::arity(&function.name).is_some() {
                let message = format!("`{}` is a function of the language; choose another name", function.name);
                self.seen.problems.push(self.place.problem(None, message));
            }
            // Rhai's cap on variables does not count parameters.
            if function.params.len() > MOST_PARAMETERS {
                let message =
                    format!("`{}` takes {} parameters, at most {MOST_PARAMETERS} are allowed", function.name, function.params.len());
                self.seen.problems.push(self.place.problem(None, message));
            }
        }
    }

    fn node(&mut self, path: &[ASTNode<'_>]) {
        match path {
            [.., ASTNode::Stmt(stmt)] => self.statement(stmt),
            [rest @ .., ASTNode::Expr(expr)] => self.expression(expr, rest.last()),
            _ => {}
        }
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Var(var, _, _) => {
                let found = self.infer(&var.1);
                self.bind(&var.0.name, var.0.pos, found);
            }
            Stmt::For(parts, _) => {
                let item = match self.infer(&parts.2.expr) {
                    Type::Rows(frame) => Type::Row(frame),
                    _ => Type::Other,
                };
                self.bind(&parts.0.name, parts.0.pos, item);
                if let Some(counter) = &parts.1 {
                    self.bind(&counter.name, counter.pos, Type::Other);
                }
            }
            Stmt::Assignment(parts) => self.assignment(&parts.1.lhs),
            Stmt::FnCall(call, at) => self.call(call, *at, false),
            _ => {}
        }
    }

    fn bind(&mut self, name: &str, at: Position, found: Type) {
        if self.protected.contains(name) {
            self.problem(at, format!("`{name}` is an input of this rule; choose another name"));
        } else {
            self.types.insert(name.to_string(), found);
        }
    }

    fn assignment(&mut self, target: &Expr) {
        match target {
            Expr::Variable(name, _, at) if self.protected.contains(name.1.as_str()) => {
                self.problem(*at, format!("`{}` is an input of this rule and cannot be changed", name.1));
            }
            Expr::Variable(name, ..) => {
                self.types.insert(name.1.to_string(), Type::Other);
            }
            // Rhai does not measure what grows this way.
            other => {
                self.problem(other.start_position(), "an element cannot be assigned; build the list or map in one piece, or use `push`")
            }
        }
    }

    fn expression(&mut self, expr: &Expr, parent: Option<&ASTNode<'_>>) {
        match expr {
            Expr::FnCall(call, at) => self.call(call, *at, false),
            Expr::MethodCall(call, at) => self.call(call, *at, true),
            Expr::Dot(..) | Expr::Index(..) if !is_tail(expr, parent) => {
                let moment = parent.and_then(|parent| self.moment_of_argument(parent, expr));
                self.chain(expr, moment);
            }
            Expr::Variable(name, _, at) => {
                self.seen.variables.insert(name.1.to_string());
                self.seen_in_function(&name.1, *at);
                if let Some(Type::Column(frame, column)) = self.types.get(name.1.as_str()).cloned() {
                    let moment = parent.and_then(|parent| self.moment_of_argument(parent, expr));
                    self.read(&frame, &column, moment, *at);
                }
            }
            _ => {}
        }
    }

    /// Rhai checks the names in functions only when it gets there.
    fn seen_in_function(&mut self, name: &str, at: Position) {
        if !self.in_functions || self.types.contains_key(name) {
            return;
        }
        if self.protected.contains(name) {
            self.problem(at, format!("`{name}` is not seen inside of a function; pass it as an argument"));
        } else {
            self.problem(at, format!("unknown name `{name}`"));
        }
    }

    /// The moment at which `rate(x)` and its kind read their first argument.
    fn moment_of_argument(&mut self, parent: &ASTNode<'_>, argument: &Expr) -> Option<Moment> {
        let ASTNode::Expr(Expr::FnCall(call, _)) = parent else { return None };
        let first = call.args.first()?;
        if std::ptr::eq(first, argument) { self.moment(&call.name, &call.args[1..]) } else { None }
    }

    fn moment(&mut self, function: &str, rest: &[Expr]) -> Option<Moment> {
        match (function, rest) {
            ("rate", []) => Some(Moment::Rate),
            ("prev", []) => Some(Moment::Previous),
            ("delta", [window]) => self.window(window).map(Moment::Delta),
            ("ago", [window]) => self.window(window).map(Moment::Ago),
            _ => None,
        }
    }

    fn window(&mut self, window: &Expr) -> Option<u64> {
        match constant(window) {
            Some(seconds) if seconds >= 1.0 => Some(seconds.round() as u64),
            _ => {
                self.problem(window.start_position(), "a window must be written out, such as `hours(1)`, so that its history is kept");
                None
            }
        }
    }

    /// `a.b.c`: what each step reads.
    fn chain(&mut self, expr: &Expr, moment: Option<Moment>) {
        let Some((base, steps)) = flatten(expr) else { return };
        let mut found = self.infer(base);
        for (at, step) in steps.iter().enumerate() {
            let last = at + 1 == steps.len();
            let next = match steps.get(at + 1) {
                Some(Step::Method(call, _)) => self.moment(&call.name, &call.args),
                _ => moment.filter(|_| last),
            };
            found = self.step(&found, step, next, true);
        }
    }

    /// The type after one step; with `note` what it reads is noted.
    fn step(&mut self, from: &Type, step: &Step<'_>, moment: Option<Moment>, note: bool) -> Type {
        match (from, step) {
            (Type::Frame(frame), Step::Property(name, at)) => {
                if note {
                    self.read(frame, name, moment, *at);
                }
                Type::Column(frame.clone(), (*name).to_string())
            }
            (Type::Row(frame), Step::Property(name, at)) => {
                if note {
                    self.read(frame, name, None, *at);
                }
                Type::Other
            }
            (Type::Settings, Step::Property(name, at)) => {
                if note && !self.settings.iter().any(|setting| setting.name == *name) {
                    let message = unknown_setting(self.settings.iter().map(|s| s.name.as_str()), name);
                    self.problem(*at, message);
                }
                Type::Other
            }
            (from, Step::Method(call, at)) => self.asked(from, call, call.args.first(), *at, note),
            _ => Type::Other,
        }
    }

    /// What `frame.rows(..)` and `frame.top(..)` answer, in either spelling.
    fn asked(&mut self, of: &Type, call: &FnCallExpr, argument: Option<&Expr>, at: Position, note: bool) -> Type {
        let Type::Frame(frame) = of else { return Type::Other };
        match call.name.as_str() {
            "rows" => {
                if note {
                    self.seen.rows_of.get_or_insert_with(|| frame.name.clone());
                    self.seen.looks.extend(argument.map(|mask| Call { frame: frame.name.clone(), mask: mask.clone(), at }));
                    self.note(frame, None, Moment::Now);
                }
                Type::Rows(frame.clone())
            }
            "top" => {
                if let (Some(Expr::StringConstant(column, _)), true) = (argument, note) {
                    self.read(frame, column, None, at);
                }
                Type::Row(frame.clone())
            }
            _ => {
                if note {
                    self.note(frame, None, Moment::Now);
                }
                Type::Other
            }
        }
    }

    fn read(&mut self, frame: &Arc<FrameDef>, column: &str, moment: Option<Moment>, at: Position) {
        if column == WAS_FIRING {
            return;
        }
        if frame.column(column).is_none() {
            self.problem(at, unknown_column(frame, column));
            return;
        }
        self.note(frame, Some(column), moment.unwrap_or(Moment::Now));
    }

    fn note(&mut self, frame: &FrameDef, column: Option<&str>, moment: Moment) {
        self.seen.inputs.insert(Input { frame: frame.name.clone(), column: column.map(String::from), moment, optional: false });
    }

    fn infer(&mut self, expr: &Expr) -> Type {
        match expr {
            Expr::Variable(name, ..) => self.types.get(name.1.as_str()).cloned().unwrap_or(Type::Other),
            Expr::Coalesce(parts, _) => parts.first().map_or(Type::Other, |first| self.infer(first)),
            Expr::FnCall(call, at) => match call.args.first() {
                Some(first) => {
                    let of = self.infer(first);
                    self.asked(&of, call, call.args.get(1), *at, false)
                }
                None => Type::Other,
            },
            Expr::Dot(..) | Expr::Index(..) => {
                let Some((base, steps)) = flatten(expr) else { return Type::Other };
                let start = self.infer(base);
                steps.iter().fold(start, |found, step| self.step(&found, step, None, false))
            }
            _ => Type::Other,
        }
    }

    fn call(&mut self, call: &FnCallExpr, at: Position, is_method: bool) {
        if call.op_token.is_some() {
            return;
        }
        let arguments = call.args.len() + usize::from(is_method);
        self.known_function(&call.name, arguments, at);
        match call.name.as_str() {
            "finding" => self.finding(call),
            "action" => self.action(call),
            "evidence" => self.evidence(call),
            "rows" | "top" | "count" | "is_empty" | "len" if !is_method => {
                if let Some(first) = call.args.first() {
                    let of = self.infer(first);
                    self.asked(&of, call, call.args.get(1), at, true);
                }
            }
            _ => {}
        }
    }

    fn known_function(&mut self, name: &str, arguments: usize, at: Position) {
        if self.own.contains(&(name.to_string(), arguments)) || matches!(name, "type_of") {
            return;
        }
        match functions::arity(name) {
            Some((least, most)) if (least..=most).contains(&arguments) => {}
            Some((least, most)) => {
                let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
                self.problem(at, format!("`{name}` takes {range} arguments, not {arguments}"));
            }
            None => {
                let message = self.unknown_function(name);
                self.problem(at, message);
            }
        }
    }

    fn unknown_function(&self, name: &str) -> String {
        let hint = match name {
            "sleep" => "; a rule cannot wait, use `for:` in the header".into(),
            "exit" => "; use `return`".into(),
            "eval" | "import" | "print" | "debug" => "; rules have no such thing".into(),
            _ => {
                let known = functions::names().chain(self.own.iter().map(|(own, _)| own.as_str()));
                Catalog::nearest(known, name).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
            }
        };
        format!("unknown function `{name}`{hint}")
    }

    fn finding(&mut self, call: &FnCallExpr) {
        self.seen.finds = true;
        let Some(Expr::Map(said, _)) = call.args.last() else { return };
        for (key, value) in &said.0 {
            if !FINDING_KEYS.contains(&key.name.as_str()) {
                self.problem(key.pos, unknown_key(&key.name));
            }
            if let ("severity", Expr::StringConstant(word, at)) = (key.name.as_str(), value)
                && let Err(message) = word.parse::<Severity>()
            {
                self.problem(*at, message);
            }
        }
    }

    fn action(&mut self, call: &FnCallExpr) {
        let Some(Expr::StringConstant(name, at)) = call.args.first() else { return };
        let known = match kind(name) {
            Ok(known) => known,
            Err(message) => return self.problem(*at, message),
        };
        let Some(Expr::Map(params, _)) = call.args.last() else { return };
        for (key, value) in params.0.iter().filter(|(key, _)| key.name != "why") {
            if let Err(message) = known.check_param(&key.name, &literal(value)) {
                // A value that is not written out is checked when it is there; its name is checked now.
                if !literal(value).is_empty() || !message.contains("must be") {
                    self.problem(key.pos, message);
                }
            }
        }
    }

    fn evidence(&mut self, call: &FnCallExpr) {
        let [row, Expr::StringConstant(column, at), ..] = &call.args[..] else { return };
        if let Type::Row(frame) = self.infer(row) {
            self.read(&frame, column, None, *at);
        }
    }
}
