//! What a script asks of the rows that it loops over: the conditions of the mask in `frame.rows(mask)`, followed through the
//! variables that hold them. Read once at load, asked when somebody wants to know which of them keeps the rule from firing.
//!
//! A script may do what it likes, so this follows only what is plain: variables of the script itself that are set once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rhai::{AST, ASTNode, Dynamic, Expr, Position, Scope, Stmt};

use super::Engine;
use super::error::Place;
use super::expression::guarded;
use super::guard::{Part, offset, parts, tree_of};
use super::inspect::{Type, inspect};
use super::value::{Value, at_row};
use super::view::Row;
use crate::model::SettingDef;
use crate::problem::Mark;
use crate::rules::Condition;

/// `frame.rows(mask)` as `inspect` finds it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) frame: String,
    pub(super) mask: Expr,
    pub(super) at: Position,
}

/// One of them with the conditions that its mask joins.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) frame: String,
    /// `None` where one of them makes no sense by itself.
    guards: Option<Vec<Guard>>,
}

#[derive(Debug)]
struct Guard {
    tree: AST,
    text: String,
    line: u32,
    reads: Vec<String>,
}

impl Look {
    /// What it asks, answered for one row after a run that has left its variables in `scope`; `None` when an answer is no
    /// true or false.
    pub(super) fn asked(&self, engine: &rhai::Engine, scope: &mut Scope<'_>, row: &Row) -> Option<Vec<Condition>> {
        let ask = |guard: &Guard| {
            let value = guarded(|| engine.eval_ast_with_scope::<Dynamic>(scope, &guard.tree)).ok()?;
            let holds = match at_row(&value.into(), row).ok()? {
                Value::Flag(flag) => Some(flag),
                Value::Unknown => None,
                _ => return None,
            };
            let plain = Condition::plain("rows", guard.text.as_str(), holds);
            Some(Condition { line: Some(guard.line), reads: guard.reads.clone(), ..plain })
        };
        self.guards.as_ref()?.iter().map(ask).collect()
    }
}

/// A script to look through.
pub(super) struct Script<'a> {
    pub(super) engine: &'a Engine,
    pub(super) ast: &'a AST,
    pub(super) source: &'a str,
    pub(super) place: &'a Place,
    /// The names that the host puts into scope.
    pub(super) names: BTreeMap<String, Type>,
    pub(super) settings: &'a [SettingDef],
}

/// Variables that are set once, with where their value is written.
type Lets<'a> = BTreeMap<&'a str, (&'a Expr, Range<usize>)>;

impl Script<'_> {
    /// What it asks in each of its calls.
    pub(super) fn looks(mut self, calls: &[Call]) -> Vec<Look> {
        let lets = lets(self.ast, self.source);
        self.names.extend(lets.keys().map(|name| ((*name).to_string(), Type::Other)));
        let look = |call: &Call| {
            let open = offset(self.source, call.at).and_then(|at| Some(at + self.source.get(at..)?.find('(')? + 1));
            let within = open.map_or(0..0, |open| open..end_of(self.source, open));
            let mut found = Vec::new();
            self.follow(&call.mask, within, &lets, &mut BTreeSet::new(), &mut found);
            Look { frame: call.frame.clone(), guards: found.iter().map(|part| self.guard(part, &lets)).collect() }
        };
        calls.iter().map(look).collect()
    }

    /// The conditions of a mask. A variable is `followed` once: a condition that is joined twice is still the same.
    fn follow<'e>(
        &'e self,
        mask: &'e Expr,
        within: Range<usize>,
        lets: &Lets<'e>,
        followed: &mut BTreeSet<String>,
        found: &mut Vec<Part<'e>>,
    ) {
        for part in parts(mask, self.source, within) {
            let name = if let Expr::Variable(name, ..) = part.expr { name.1.as_str() } else { "" };
            match lets.get(name) {
                Some((value, within)) if followed.insert(name.into()) => self.follow(value, within.clone(), lets, followed, found),
                Some(_) => {}
                None => found.push(part),
            }
        }
    }

    fn guard(&self, part: &Part<'_>, lets: &Lets<'_>) -> Option<Guard> {
        let mut scope = Scope::new();
        for name in self.names.keys() {
            scope.push(name.clone(), ());
        }
        let tree = self.engine.parser().compile_expression_with_scope(&scope, part.source).ok()?;
        let mut reads = BTreeSet::new();
        self.reads(&tree, lets, &mut BTreeSet::new(), &mut reads);
        let before = self.source.get(..part.at).unwrap_or_default();
        let at = Mark { line: before.matches('\n').count() as u32 + 1, column: 1 };
        Some(Guard { tree, text: part.text(), line: self.place.in_file(at).line, reads: reads.into_iter().collect() })
    }

    /// The inputs that a condition reads, also through variables.
    fn reads(&self, tree: &AST, lets: &Lets<'_>, followed: &mut BTreeSet<String>, reads: &mut BTreeSet<String>) {
        let seen = inspect(tree, self.place, self.names.clone(), self.settings);
        reads.extend(seen.inputs.iter().map(ToString::to_string));
        for name in seen.variables {
            if let Some((value, _)) = lets.get(name.as_str())
                && followed.insert(name)
            {
                self.reads(&tree_of(value), lets, followed, reads);
            }
        }
    }
}

fn lets<'a>(ast: &'a AST, source: &str) -> Lets<'a> {
    let mut lets: Lets<'a> = BTreeMap::new();
    let mut changed: BTreeSet<String> = BTreeSet::new();
    for statement in ast.statements() {
        if let Stmt::Var(var, ..) = statement
            && lets.insert(var.0.name.as_str(), (&var.1, value_of(source, var.0.pos))).is_some()
        {
            changed.insert(var.0.name.to_string());
        }
    }
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let [.., ASTNode::Stmt(Stmt::Assignment(parts))] = path
            && let Expr::Variable(name, ..) = &parts.1.lhs
        {
            changed.insert(name.1.to_string());
        }
        true
    });
    lets.retain(|name, _| !changed.contains(*name));
    lets
}

/// Where the value of a variable is written.
fn value_of(source: &str, at: Position) -> Range<usize> {
    let start = offset(source, at).and_then(|at| Some(at + source.get(at..)?.find('=')? + 1));
    start.map_or(0..0, |start| start..end_of(source, start))
}

/// Where an expression ends: before `;`, or the bracket that closes around it.
fn end_of(source: &str, start: usize) -> usize {
    let (mut depth, mut quote, mut comment) = (0_usize, None, false);
    let rest = source.get(start..).unwrap_or_default();
    for (at, letter) in rest.char_indices() {
        match (quote, letter) {
            _ if comment => comment = letter != '\n',
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(letter),
            (None, '/') if rest.get(at..).is_some_and(|rest| rest.starts_with("//")) => comment = true,
            (None, '(' | '[' | '{') => depth += 1,
            (None, ';') | (None, ')' | ']' | '}') if depth == 0 => return start + at,
            (None, ')' | ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    source.len()
}
