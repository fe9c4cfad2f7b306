//! Pieces of a syntax tree that `inspect` reads: chains such as `a.b[c].d()`, and what is written out as a constant.

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position};

use super::functions::time_factor;

/// A step of `a.b[c].d()`.
pub(super) enum Step<'e> {
    Property(&'e str, Position),
    Method(&'e FnCallExpr, Position),
    Index,
}

/// A literal as an action's parameter; empty for anything that is worked out.
pub(super) fn literal(value: &Expr) -> String {
    match value {
        Expr::BoolConstant(flag, _) => flag.to_string(),
        Expr::IntegerConstant(number, _) => number.to_string(),
        Expr::FloatConstant(number, _) => number.to_string(),
        Expr::StringConstant(text, _) => text.to_string(),
        _ => String::new(),
    }
}

/// A number that is written out, with a unit function or without.
pub(super) fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::IntegerConstant(number, _) => Some(*number as f64),
        Expr::FloatConstant(number, _) => Some(**number),
        Expr::FnCall(call, _) => Some(time_factor(&call.name)? * constant(call.args.first()?)?),
        _ => None,
    }
}

/// Whether a chain is only the rest of the chain above it.
pub(super) fn is_tail(expr: &Expr, parent: Option<&ASTNode<'_>>) -> bool {
    match parent {
        Some(ASTNode::Expr(Expr::Dot(pair, flags, _) | Expr::Index(pair, flags, _))) => {
            !flags.contains(ASTFlags::BREAK) && std::ptr::eq(&pair.rhs, expr)
        }
        _ => false,
    }
}

/// A chain as its base and its steps.
pub(super) fn flatten(expr: &Expr) -> Option<(&Expr, Vec<Step<'_>>)> {
    let (Expr::Dot(pair, _, _) | Expr::Index(pair, _, _)) = expr else { return None };
    let mut steps = Vec::new();
    let mut at = expr;
    while let Expr::Dot(pair, flags, _) | Expr::Index(pair, flags, _) = at {
        let is_index = matches!(at, Expr::Index(..));
        let goes_on = !flags.contains(ASTFlags::BREAK) && matches!(pair.rhs, Expr::Dot(..) | Expr::Index(..));
        let this = match &pair.rhs {
            Expr::Dot(next, _, _) | Expr::Index(next, _, _) if goes_on => &next.lhs,
            end => end,
        };
        steps.push(match this {
            Expr::Property(name, at) if !is_index => Step::Property(name.2.as_str(), *at),
            Expr::MethodCall(call, at) if !is_index => Step::Method(call, *at),
            _ => Step::Index,
        });
        if !goes_on {
            break;
        }
        at = &pair.rhs;
    }
    Some((&pair.lhs, steps))
}
