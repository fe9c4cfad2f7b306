//! Arithmetic and statistics over numbers, columns and masks.
//!
//! Statistics leave unknown rows out, as SQL does. `any`, `all` and `count` answer for what is known; where the unknown
//! rows could turn the answer, an alert about the server as a whole is held.

use super::super::column::Column;
use super::super::error::{Answer, wrong};
use super::super::operators::each;
use super::super::run::Run;
use super::super::value::Value;

fn one(run: &Run, args: &[Value], name: &str, f: fn(f64) -> f64) -> Answer<Value> {
    match args {
        [Value::Column(column)] => Ok(Value::Column(column.map(run.meter(), f)?)),
        [value] => Ok(Value::Float(f(value.number(name)?))),
        _ => wrong(format!("`{name}` takes one argument")),
    }
}

fn two(run: &Run, args: &[Value], name: &str, f: fn(f64, f64) -> f64) -> Answer<Value> {
    let [left, right] = args else { return wrong(format!("`{name}` takes two arguments")) };
    match (left.as_operand(), right.as_operand()) {
        (Some(a), Some(b)) => each(run.meter(), a, b, f),
        (None, _) => wrong(format!("`{name}` takes numbers or columns, this is {}", left.kind())),
        _ => wrong(format!("`{name}` takes numbers or columns, this is {}", right.kind())),
    }
}

pub(super) fn abs(run: &Run, args: &[Value]) -> Answer<Value> {
    one(run, args, "abs", f64::abs)
}

pub(super) fn floor(run: &Run, args: &[Value]) -> Answer<Value> {
    one(run, args, "floor", f64::floor)
}

pub(super) fn ceil(run: &Run, args: &[Value]) -> Answer<Value> {
    one(run, args, "ceil", f64::ceil)
}

pub(super) fn ratio(run: &Run, args: &[Value]) -> Answer<Value> {
    Ok(match two(run, args, "ratio", pgsteward_helpers::ratio)? {
        Value::Column(column) => Value::Column(column.plain()),
        other => other,
    })
}

/// A number of a message: whole without digits, else with at least one decimal as the language prints it.
pub(super) fn round(run: &Run, args: &[Value]) -> Answer<Value> {
    let digits = args.get(1).map_or(Ok(0.0), |value| value.number("round"))?.clamp(0.0, 12.0) as i32;
    let factor = 10f64.powi(digits);
    match args.first() {
        Some(Value::Column(column)) => Ok(Value::Column(column.map(run.meter(), |v| (v * factor).round() / factor)?)),
        Some(value) => {
            let number = value.number("round")?;
            let rounded = (number * factor).round() / factor;
            let whole = digits == 0 && rounded.abs() < 1e15;
            Ok(if whole { Value::Int(rounded as i64) } else { Value::Float(if rounded.is_finite() { rounded } else { number }) })
        }
        None => wrong("`round` takes a number"),
    }
}

fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

pub(super) fn min(run: &Run, args: &[Value]) -> Answer<Value> {
    if args.len() == 2 { two(run, args, "min", lesser) } else { statistic(run, args, "min", |known| known.reduce(f64::min)) }
}

pub(super) fn max(run: &Run, args: &[Value]) -> Answer<Value> {
    if args.len() == 2 { two(run, args, "max", greater) } else { statistic(run, args, "max", |known| known.reduce(f64::max)) }
}

pub(super) fn sum(run: &Run, args: &[Value]) -> Answer<Value> {
    statistic(run, args, "sum", |known| Some(known.sum()))
}

pub(super) fn avg(run: &Run, args: &[Value]) -> Answer<Value> {
    statistic(run, args, "avg", |known| {
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then_some(sum / count)
    })
}

pub(super) fn percentile(run: &Run, args: &[Value]) -> Answer<Value> {
    let p = args.get(1).map_or(Ok(f64::NAN), |value| value.number("percentile"))?;
    if !(0.0..=100.0).contains(&p) {
        return wrong("`percentile` takes a column and a number from 0 to 100");
    }
    let column = a_column(args, "percentile")?;
    note_unknown(run, column);
    // It is sorted in a copy.
    let _copy = run.meter().charge(size_of_val(&*column.values))?;
    Ok(Value::Float(pgsteward_helpers::percentile(&column.values, p)))
}

fn a_column<'a>(args: &'a [Value], name: &str) -> Answer<&'a Column> {
    match args.first() {
        Some(Value::Column(column)) => Ok(column),
        Some(Value::Mask(_)) => wrong(format!("`{name}` takes a column, this is a mask; `count(mask)` counts its rows")),
        other => wrong(format!("`{name}` takes a column, this is {}", other.map_or("nothing", Value::kind))),
    }
}

fn statistic(run: &Run, args: &[Value], name: &str, f: fn(&mut dyn Iterator<Item = f64>) -> Option<f64>) -> Answer<Value> {
    let column = a_column(args, name)?;
    if note_unknown(run, column) {
        return Ok(Value::Unknown);
    }
    let result = f(&mut column.values.iter().copied().filter(|value| !value.is_nan()));
    Ok(result.map_or(Value::Unknown, Value::Float))
}

/// Whether there are rows and none of them is known; the server's alert is held then.
fn note_unknown(run: &Run, column: &Column) -> bool {
    let nothing = !column.values.is_empty() && column.values.iter().all(|value| value.is_nan());
    if nothing {
        run.leave_undecided(&column.of);
    }
    nothing
}

pub(super) fn any(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::Flag(flag)] => Ok(Value::Flag(*flag)),
        [Value::Mask(mask)] => {
            let hit = mask.hits() > 0;
            if !hit && mask.unknowns() > 0 {
                run.leave_undecided(&mask.of);
            }
            Ok(Value::Flag(hit))
        }
        _ => wrong(not_a_mask("any", args)),
    }
}

pub(super) fn all(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::Flag(flag)] => Ok(Value::Flag(*flag)),
        [Value::Mask(mask)] => {
            let refuted = mask.values.contains(&0);
            if !refuted && mask.unknowns() > 0 {
                run.leave_undecided(&mask.of);
            }
            Ok(Value::Flag(mask.hits() == mask.values.len()))
        }
        _ => wrong(not_a_mask("all", args)),
    }
}

pub(super) fn count(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::Mask(mask)] => {
            if mask.unknowns() > 0 {
                run.leave_undecided(&mask.of);
            }
            Ok(Value::Int(mask.hits() as i64))
        }
        [Value::Frame(view)] => Ok(Value::Int(view.rows() as i64)),
        [Value::Rows(rows)] => Ok(Value::Int(rows.hits.len() as i64)),
        [Value::List(list)] => Ok(Value::Int(list.len() as i64)),
        _ => wrong(not_a_mask("count", args)),
    }
}

fn not_a_mask(name: &str, args: &[Value]) -> String {
    let kind = args.first().map_or("nothing", Value::kind);
    let hint = if kind == "a column" { format!("; compare it first: `{name}(column > 5)`") } else { String::new() };
    format!("`{name}` takes a mask, this is {kind}{hint}")
}

pub(super) fn is_null(run: &Run, args: &[Value]) -> Answer<Value> {
    Ok(match args {
        [Value::Column(column)] => {
            let nulls: Vec<u8> = column.values.iter().map(|v| u8::from(v.is_nan())).collect();
            Value::Mask(super::super::column::Mask {
                values: super::super::column::Buffer::made(run.meter(), nulls.into_iter())?,
                of: column.of.clone(),
            })
        }
        [Value::Mask(mask)] => Value::Mask(mask.map(run.meter(), |v| v >> 1)?),
        [Value::Texts(texts)] => Value::Mask(texts.nulls(run.meter())?),
        [value] => Value::Flag(matches!(value, Value::Unknown)),
        _ => return wrong("`is_null` takes one argument"),
    })
}

pub(super) fn or_else(run: &Run, args: &[Value]) -> Answer<Value> {
    let [value, instead] = args else { return wrong("`or_else` takes two arguments") };
    Ok(match (value, instead) {
        (Value::Column(column), _) => match instead.as_operand() {
            Some(other) => {
                let filled = |v: f64, other: f64| if v.is_nan() { other } else { v };
                each(run.meter(), super::super::column::Operand::Rows(column.clone()), other, filled)?
            }
            None => return wrong(format!("`or_else` of a column takes a number, this is {}", instead.kind())),
        },
        (Value::Mask(mask), Value::Flag(flag)) => {
            let flag = u8::from(*flag);
            Value::Mask(mask.map(run.meter(), |v| if v == 2 { flag } else { v })?)
        }
        (Value::Mask(_) | Value::Texts(_), other) => return wrong(format!("`or_else` cannot put {} into {}", other.kind(), value.kind())),
        (Value::Unknown, other) => other.clone(),
        (known, _) => known.clone(),
    })
}

pub(super) fn when(run: &Run, args: &[Value]) -> Answer<Value> {
    let [condition, yes, no] = args else { return wrong("`when` takes a mask and two values") };
    match condition {
        Value::Flag(flag) => Ok(if *flag { yes.clone() } else { no.clone() }),
        Value::Mask(mask) => match (yes.as_operand(), no.as_operand()) {
            (Some(yes), Some(no)) => Ok(Value::Column(mask.choose(run.meter(), &yes, &no)?)),
            _ => wrong(format!("`when` chooses between numbers or columns, not {} and {}", yes.kind(), no.kind())),
        },
        other => wrong(not_a_mask("when", std::slice::from_ref(other))),
    }
}
