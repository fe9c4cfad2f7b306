//! The conditions that are joined by `and`, told apart: which of them keeps a rule from firing is what people ask.
//!
//! The syntax tree says where to cut, since it knows what binds to what; the text of each part is cut out of the source,
//! since the tree cannot be printed.

use std::ops::Range;

use rhai::{AST, Expr, Module, Position, Stmt};

/// One of the conditions.
pub(super) struct Part<'e> {
    pub(super) expr: &'e Expr,
    /// As it is written.
    pub(super) source: &'e str,
    /// Where it begins in the source, in bytes.
    pub(super) at: usize,
}

impl Part<'_> {
    /// As it is written, on one line and without comments.
    pub(super) fn text(&self) -> String {
        let code = self.source.lines().flat_map(|line| line.split("//").take(1));
        code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    }
}

/// An expression as something to inspect by itself. A script's must not be evaluated so: it knows its variables by their
/// places among those of the script.
pub(super) fn tree_of(expr: &Expr) -> AST {
    AST::new([Stmt::Expr(Box::new(expr.clone()))], Module::new())
}

/// The parts of an expression that stands in these bytes of a source; itself when nothing is joined in it.
pub(super) fn parts<'e>(expr: &'e Expr, source: &'e str, within: Range<usize>) -> Vec<Part<'e>> {
    if let Expr::FnCall(call, at) = expr
        && let ([left, right], "and" | "&") = (&call.args[..], call.name.as_str())
        && let Some(cut) = offset(source, *at).filter(|cut| within.contains(cut))
    {
        let mut found = parts(left, source, within.start..cut);
        found.extend(parts(right, source, cut + call.name.len()..within.end));
        return found;
    }
    let text = source.get(within.clone()).unwrap_or_default();
    let at = within.start + (text.len() - text.trim_start().len());
    vec![Part { expr, source: bare(text), at }]
}

/// Where a position of the parser is, in bytes.
pub(super) fn offset(source: &str, at: Position) -> Option<usize> {
    let (line, column) = (at.line()?.checked_sub(1)?, at.position()?.checked_sub(1)?);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.get(start..)?;
    rest.char_indices().nth(column).map(|(within, _)| start + within)
}

/// Without the brackets that were opened or closed outside of it.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let (opened, closed) = (text.matches('(').count(), text.matches(')').count());
        let less = if opened > closed { text.strip_prefix('(') } else { text.strip_suffix(')').filter(|_| closed > opened) };
        match less {
            Some(less) => text = less.trim(),
            None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rhai::{Engine, Limits};

    fn told_apart(text: &str) -> Vec<String> {
        let mut scope = rhai::Scope::new();
        for name in ["a", "b", "c", "d"] {
            scope.push(name, 1.0);
        }
        let ast = Engine::new(Limits::default()).parser().compile_expression_with_scope(&scope, text).unwrap();
        let [Stmt::Expr(root)] = ast.statements() else { panic!("{ast:?}") };
        parts(root, text, 0..text.len()).iter().map(Part::text).collect()
    }

    #[test]
    fn what_is_joined_by_and_stands_apart() {
        for (text, apart) in [
            ("a", vec!["a"]),
            ("a > 1.0 and b < 2.0", vec!["a > 1.0", "b < 2.0"]),
            ("not(a) and b != \"x and y\" and c", vec!["not(a)", "b != \"x and y\"", "c"]),
            ("a & (b | c) & d", vec!["a", "(b | c)", "d"]),
            ("((a and b) and (c > (d)))", vec!["a", "b", "(c > (d))"]),
            ("(a and b) or c", vec!["(a and b) or c"]),
            ("a // both\n  and b ==\n 2.0", vec!["a", "b == 2.0"]),
            ("b == \"ä\" & c", vec!["b == \"ä\"", "c"]),
        ] {
            assert_eq!(told_apart(text), apart, "{text}");
        }
    }
}
