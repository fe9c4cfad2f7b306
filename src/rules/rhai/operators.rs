//! Every operator for every pair of types: a value, or an error that says what would be right.
//!
//! Rhai answers `false` without a word for a pair that nobody registered. So each operator is registered for every pair of
//! its own types and for `Dynamic`, and all of them end in one `match` here. NULL (`()`) goes through arithmetic and stays
//! NULL; a comparison with it is an error, since a rule would never fire on it. `/` is never integer division.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Array, Dynamic, FLOAT, FuncRegistration, INT, ImmutableString, Map, Module, NativeCallContext, RhaiFunc};

use super::column::{Column, Mask, Operand, kleene_and, kleene_or};
use super::error::{Answer, wrong};
use super::limits::Meter;
use super::run::{Run, run_of};
use super::value::Value;

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
    And,
    Or,
}

/// All binary operators as they are written, with the form that assigns.
pub(super) const BINARY: [(&str, Op, Option<&str>); 15] = [
    ("+", Op::Add, Some("+=")),
    ("-", Op::Sub, Some("-=")),
    ("*", Op::Mul, Some("*=")),
    ("/", Op::Div, Some("/=")),
    ("%", Op::Rem, Some("%=")),
    (">", Op::Gt, None),
    (">=", Op::Ge, None),
    ("<", Op::Lt, None),
    ("<=", Op::Le, None),
    ("==", Op::Eq, None),
    ("!=", Op::Ne, None),
    ("&", Op::And, Some("&=")),
    ("|", Op::Or, Some("|=")),
    ("and", Op::And, None),
    ("or", Op::Or, None),
];

/// Operators of Rhai that rules do not have; the parser refuses them.
pub(super) const REFUSED: [&str; 8] = ["**", "<<", ">>", "^", "**=", "<<=", ">>=", "^="];

impl Op {
    fn symbol(self) -> &'static str {
        BINARY.iter().find(|(_, op, _)| *op == self).map_or("", |(symbol, _, _)| symbol)
    }

    fn arithmetic(self) -> Option<fn(f64, f64) -> f64> {
        Some(match self {
            Self::Add => |a, b| a + b,
            Self::Sub => |a, b| a - b,
            Self::Mul => |a, b| a * b,
            Self::Div => divide,
            Self::Rem => |a, b| if b == 0.0 { f64::NAN } else { a % b },
            _ => return None,
        })
    }
}

/// Nothing can be said of a share of nothing.
fn divide(a: f64, b: f64) -> f64 {
    if b == 0.0 { f64::NAN } else { a / b }
}

/// Registers all operators.
pub(super) fn register(module: &mut Module) {
    for (symbol, op, assign) in BINARY {
        for left in types() {
            for right in types() {
                let func = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| apply(op, context, args);
                set_native(module, symbol, &[left, right], false, func);
            }
        }
        if let Some(symbol) = assign {
            let func = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| assign_to(op, context, args);
            set_native(module, symbol, &[TypeId::of::<Dynamic>(), TypeId::of::<Dynamic>()], true, func);
        }
    }
    for (symbol, negate) in [("!", true), ("not", true), ("-", false), ("+", false)] {
        let func = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let run = run_of(context.as_ref())?;
            let value = take(args, 0);
            let result = if negate { not(&run, value) } else { sign(&run, symbol == "-", value) };
            Ok(result?.into())
        };
        set_native(module, symbol, &[TypeId::of::<Dynamic>()], false, func);
    }
}

/// The types that meet most, `Dynamic` standing for the rest: an exact pair is found at the first look.
fn types() -> [TypeId; 10] {
    [
        TypeId::of::<Dynamic>(),
        TypeId::of::<Column>(),
        TypeId::of::<Mask>(),
        TypeId::of::<FLOAT>(),
        TypeId::of::<INT>(),
        TypeId::of::<bool>(),
        TypeId::of::<ImmutableString>(),
        TypeId::of::<()>(),
        TypeId::of::<Array>(),
        TypeId::of::<Map>(),
    ]
}

/// Registers one native function. With `in_place` its first argument is the variable itself.
pub(super) fn set_native(
    module: &mut Module,
    name: &str,
    types: &[TypeId],
    in_place: bool,
    func: impl Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<rhai::EvalAltResult>> + Send + Sync + 'static,
) {
    let func: Arc<rhai_func::Native> = Arc::new(move |context, args: &mut [&mut Dynamic]| func(context, args));
    let func = if in_place {
        RhaiFunc::Method { func, has_context: true, is_pure: false, is_volatile: false }
    } else {
        RhaiFunc::Pure { func, has_context: true, is_pure: true, is_volatile: false }
    };
    module.set_fn_raw_with_options(FuncRegistration::new(name).in_global_namespace(), types, func);
}

mod rhai_func {
    use rhai::{Dynamic, EvalAltResult, NativeCallContext};
    pub(super) type Native = dyn Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> + Send + Sync;
}

/// An argument, taken out of its place.
pub(super) fn take(args: &mut [&mut Dynamic], at: usize) -> Value {
    args.get_mut(at).map_or(Value::Unknown, |arg| std::mem::take(*arg).into())
}

fn apply(op: Op, context: Option<NativeCallContext>, args: &mut [&mut Dynamic]) -> Result<Dynamic, Box<rhai::EvalAltResult>> {
    let run = run_of(context.as_ref())?;
    let (left, right) = (take(args, 0), take(args, 1));
    Ok(binary(&run, op, left, right)?.into())
}

/// `x op= y`. A list takes the value as an element, as Rhai has it.
fn assign_to(op: Op, context: Option<NativeCallContext>, args: &mut [&mut Dynamic]) -> Result<Dynamic, Box<rhai::EvalAltResult>> {
    let run = run_of(context.as_ref())?;
    let right = args.get_mut(1).map(|arg| std::mem::take(*arg)).unwrap_or_default();
    let Some(target) = args.first_mut() else { return Ok(Dynamic::UNIT) };
    if op == Op::Add && target.is_array() {
        if let Ok(mut list) = target.as_array_mut() {
            list.push(right);
        }
        return Ok(Dynamic::UNIT);
    }
    **target = binary(&run, op, (**target).clone().into(), right.into())?.into();
    Ok(Dynamic::UNIT)
}

/// `!x`, `not(x)`.
fn not(run: &Run, value: Value) -> Answer<Value> {
    match value {
        Value::Mask(mask) => Ok(Value::Mask(mask.not(run.meter())?)),
        Value::Flag(flag) => Ok(Value::Flag(!flag)),
        Value::Unknown => wrong("`not` of unknown (NULL): write `x ?? false` first"),
        other => wrong(format!("`not` takes a mask or true or false, this is {}", other.kind())),
    }
}

/// `-x`, `+x`.
fn sign(run: &Run, minus: bool, value: Value) -> Answer<Value> {
    match value {
        Value::Unknown => Ok(Value::Unknown),
        Value::Column(column) if minus && column.counter => wrong(COUNTERS),
        Value::Column(column) if minus => Ok(Value::Column(column.map(run.meter(), |v| -v)?)),
        Value::Int(number) if minus => number.checked_neg().map(Value::Int).map_or_else(|| wrong("integer overflow"), Ok),
        Value::Float(number) if minus => Ok(Value::Float(-number)),
        Value::Column(_) | Value::Int(_) | Value::Float(_) => Ok(value),
        other => wrong(format!("a sign needs a number or a column, this is {}", other.kind())),
    }
}

const COUNTERS: &str =
    "counters are not subtracted here, they may have been reset in between: use `rate(column)`, or `delta(column, hours(1))`";

/// Two values and an operator.
pub(super) fn binary(run: &Run, op: Op, left: Value, right: Value) -> Answer<Value> {
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem => arithmetic(run, op, left, right),
        Op::Gt | Op::Ge | Op::Lt | Op::Le | Op::Eq | Op::Ne => compare(run, op, left, right),
        Op::And | Op::Or => logic(run.meter(), op, left, right),
    }
}

fn arithmetic(run: &Run, op: Op, left: Value, right: Value) -> Answer<Value> {
    match (&left, &right) {
        (Value::Int(a), Value::Int(b)) if op != Op::Div => integers(op, *a, *b),
        (Value::Column(a), Value::Column(b)) if op == Op::Sub && a.counter && b.counter => wrong(COUNTERS),
        (Value::Text(a), Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Flag(_)) if op == Op::Add => {
            Ok(Value::text(format!("{a}{}", right.shown())))
        }
        (Value::Int(_) | Value::Float(_) | Value::Flag(_), Value::Text(b)) if op == Op::Add => {
            Ok(Value::text(format!("{}{b}", left.shown())))
        }
        _ => match (left.as_operand(), right.as_operand(), op.arithmetic()) {
            (Some(a), Some(b), Some(_)) => numbers(run.meter(), op, a, b),
            _ => unlike(op, &left, &right),
        },
    }
}

fn integers(op: Op, a: INT, b: INT) -> Answer<Value> {
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        _ if b == 0 => return Ok(Value::Unknown),
        _ => a.checked_rem(b),
    };
    result.map(Value::Int).map_or_else(|| wrong("integer overflow"), Ok)
}

/// One loop an operator, so that each is compiled tight.
fn numbers(meter: &Arc<Meter>, op: Op, left: Operand, right: Operand) -> Answer<Value> {
    match op {
        Op::Add => each(meter, left, right, |a, b| a + b),
        Op::Sub => each(meter, left, right, |a, b| a - b),
        Op::Mul => each(meter, left, right, |a, b| a * b),
        Op::Div => each(meter, left, right, divide).map(uncounted),
        _ => each(meter, left, right, |a, b| if b == 0.0 { f64::NAN } else { a % b }).map(uncounted),
    }
}

/// A share of two counters is a number like any other.
fn uncounted(value: Value) -> Value {
    match value {
        Value::Column(column) => Value::Column(column.plain()),
        other => other,
    }
}

/// A function of two numbers, over columns where either side is one.
pub(super) fn each(meter: &Arc<Meter>, left: Operand, right: Operand, f: impl Fn(f64, f64) -> f64) -> Answer<Value> {
    Ok(match (left, right) {
        (Operand::One(a), Operand::One(b)) => Value::Float(f(a, b)),
        (Operand::Rows(a), Operand::One(b)) => Value::Column(a.map(meter, |v| f(v, b))?),
        (Operand::One(a), Operand::Rows(b)) => Value::Column(b.map(meter, |v| f(a, v))?),
        (Operand::Rows(a), Operand::Rows(b)) => Value::Column(a.zip(meter, &b, f)?),
    })
}

fn compare(run: &Run, op: Op, left: Value, right: Value) -> Answer<Value> {
    let equality = matches!(op, Op::Eq | Op::Ne);
    match (&left, &right) {
        (Value::Int(_) | Value::Float(_) | Value::Column(_), Value::Int(_) | Value::Float(_) | Value::Column(_)) => {
            match (left.as_operand(), right.as_operand()) {
                (Some(a), Some(b)) => compare_numbers(run.meter(), op, a, b),
                _ => unlike(op, &left, &right),
            }
        }
        (Value::Text(a), Value::Text(b)) => Ok(Value::Flag(order(op, a.as_str(), b.as_str()))),
        (Value::Texts(a), Value::Text(b)) | (Value::Text(b), Value::Texts(a)) if equality => {
            Ok(Value::Mask(a.test(run.meter(), |word| (word == b.as_str()) == (op == Op::Eq))?))
        }
        (Value::Texts(a), Value::Texts(b)) if equality => Ok(Value::Mask(a.same_as(run.meter(), b, op == Op::Eq)?)),
        (Value::Flag(a), Value::Flag(b)) if equality => Ok(Value::Flag(order(op, a, b))),
        (Value::Mask(a), Value::Flag(b)) | (Value::Flag(b), Value::Mask(a)) if equality => {
            Ok(Value::Mask(if *b == (op == Op::Eq) { a.clone() } else { a.not(run.meter())? }))
        }
        (Value::Mask(a), Value::Mask(b)) if equality => {
            let same = |a: u8, b: u8| if (a | b) & 2 == 2 { 2 } else { u8::from((a == b) == (op == Op::Eq)) };
            Ok(Value::Mask(a.zip(run.meter(), b, same)?))
        }
        (Value::Unknown, other) | (other, Value::Unknown) if equality && is_single(other) => {
            Ok(Value::Flag(matches!(other, Value::Unknown) == (op == Op::Eq)))
        }
        _ => unlike(op, &left, &right),
    }
}

/// What `x == ()` may be asked of.
fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Column(_) | Value::Mask(_) | Value::Texts(_) | Value::Other(_))
}

fn order<T: PartialOrd + ?Sized>(op: Op, a: &T, b: &T) -> bool {
    match op {
        Op::Gt => a > b,
        Op::Ge => a >= b,
        Op::Lt => a < b,
        Op::Le => a <= b,
        Op::Eq => a == b,
        _ => a != b,
    }
}

/// One loop an operator.
fn compare_numbers(meter: &Arc<Meter>, op: Op, left: Operand, right: Operand) -> Answer<Value> {
    match op {
        Op::Gt => test(meter, left, right, |a, b| a > b),
        Op::Ge => test(meter, left, right, |a, b| a >= b),
        Op::Lt => test(meter, left, right, |a, b| a < b),
        Op::Le => test(meter, left, right, |a, b| a <= b),
        Op::Eq => test(meter, left, right, |a, b| a == b),
        _ => test(meter, left, right, |a, b| a != b),
    }
}

fn test(meter: &Arc<Meter>, left: Operand, right: Operand, f: impl Fn(f64, f64) -> bool) -> Answer<Value> {
    Ok(match (left, right) {
        (Operand::One(a), Operand::One(b)) => Value::Flag(f(a, b)),
        (Operand::Rows(a), Operand::One(b)) => Value::Mask(a.test(meter, |v| f(v, b))?),
        (Operand::One(a), Operand::Rows(b)) => Value::Mask(b.test(meter, |v| f(a, v))?),
        (Operand::Rows(a), Operand::Rows(b)) => Value::Mask(a.test_with(meter, &b, f)?),
    })
}

fn logic(meter: &Arc<Meter>, op: Op, left: Value, right: Value) -> Answer<Value> {
    match (&left, &right) {
        (Value::Flag(a), Value::Flag(b)) => Ok(Value::Flag(if op == Op::And { a & b } else { a | b })),
        (Value::Mask(a), Value::Mask(b)) => Ok(Value::Mask(if op == Op::And { a.and(meter, b)? } else { a.or(meter, b)? })),
        (Value::Mask(a), Value::Flag(b)) | (Value::Flag(b), Value::Mask(a)) => {
            let all = u8::from(*b);
            let pair = if op == Op::And { kleene_and } else { kleene_or };
            Ok(Value::Mask(a.map(meter, |v| pair(v, all))?))
        }
        _ => unlike(op, &left, &right),
    }
}

/// The error for a pair that has no meaning, with what was probably meant.
fn unlike<T>(op: Op, left: &Value, right: &Value) -> Answer<T> {
    use Value as V;
    let hint = match (left, right) {
        (V::Column(_) | V::Mask(_) | V::Texts(_), V::Unknown) | (V::Unknown, V::Column(_) | V::Mask(_) | V::Texts(_)) => {
            "; write `x ?? value`, or ask `is_null(column)`"
        }
        (V::Unknown, _) | (_, V::Unknown) => "; write `x ?? value`, or ask `is_null(x)`",
        (V::Column(_) | V::Int(_) | V::Float(_), V::Text(_)) | (V::Text(_), V::Column(_) | V::Int(_) | V::Float(_)) => {
            "; a number needs no quotes"
        }
        (V::Texts(_), V::List(_)) | (V::Column(_), V::List(_)) => "; write `column in [..]` or `one_of(column, [..])`",
        (V::Mask(_), V::Int(_) | V::Float(_) | V::Column(_)) | (V::Int(_) | V::Float(_) | V::Column(_), V::Mask(_)) => {
            "; compare first: `column > 5 and mask`"
        }
        (V::Frame(_), _) | (_, V::Frame(_)) => "; name one of its columns: `frame.column`",
        _ => "",
    };
    wrong(format!("`{}` cannot join {} and {}{hint}", op.symbol(), left.kind(), right.kind()))
}

/// Whether a list holds a value, row by row where the value is a column: `x in [..]`.
pub(super) fn within(run: &Run, list: Array, value: Value) -> Answer<Value> {
    let mut found = Value::Flag(false);
    for item in list {
        let same = compare(run, Op::Eq, value.clone(), item.into())?;
        found = logic(run.meter(), Op::Or, found, same)?;
    }
    // An empty list holds nothing, but a column still asks for one answer a row.
    match (found, &value) {
        (Value::Flag(false), Value::Column(column)) => Ok(Value::Mask(column.test(run.meter(), |_| false)?)),
        (Value::Flag(false), Value::Texts(texts)) => Ok(Value::Mask(texts.test(run.meter(), |_| false)?)),
        (found, _) => Ok(found),
    }
}
