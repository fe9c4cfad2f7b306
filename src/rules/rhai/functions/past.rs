//! What columns did: rates, changes over a window, earlier values. `model::changes` does the subtracting.

use std::sync::Arc;

use super::super::column::{Buffer, Column};
use super::super::error::{Answer, wrong};
use super::super::run::Run;
use super::super::value::Value;
use super::show;
use crate::model::{FrameChanges, Input, Moment};

/// A column of a frame as it stands in the frame, and its name there.
fn direct<'a>(args: &'a [Value], function: &str) -> Answer<(&'a Column, Arc<str>)> {
    match args.first() {
        Some(Value::Column(column)) => match &column.name {
            Some(name) => Ok((column, name.clone())),
            None => wrong(format!("`{function}` takes a column of a frame as it is, not a computed one")),
        },
        Some(Value::Unknown) => wrong(format!("`{function}` of a frame that is not there: guard it with `if frame != () {{ .. }}`")),
        Some(Value::Int(_) | Value::Float(_)) => {
            wrong(format!("`{function}` takes a whole column, this is one number; in a message use `value` or evidence"))
        }
        Some(other) => wrong(format!("`{function}` takes a column of numbers, this is {}", other.kind())),
        None => wrong(format!("`{function}` takes a column")),
    }
}

/// The window, which must have been known at load: else its history is not kept, and the answer would be unknown for ever.
fn window(run: &Run, args: &[Value], function: &str) -> Answer<u64> {
    let seconds = args.get(1).map_or(Ok(f64::NAN), |value| value.number(function))?;
    let window = seconds.round() as u64;
    let declared = |input: &Input| matches!(input.moment, Moment::Delta(known) | Moment::Ago(known) if known == window);
    if seconds.is_nan() || window == 0 {
        wrong(format!("`{function}` takes a window in seconds, such as `hours(1)`"))
    } else if run.meta.inputs.iter().any(declared) {
        Ok(window)
    } else {
        wrong(format!("`{function}`: write column and window out in one place, `{function}(frame.column, hours(1))`"))
    }
}

fn column(run: &Run, like: &Column, values: Option<Arc<[f64]>>, name: Option<Arc<str>>, counter: bool) -> Answer<Value> {
    let values = match values {
        Some(values) => values.into(),
        None => Buffer::made(run.meter(), vec![f64::NAN; like.values.len()].into_iter())?,
    };
    Ok(Value::Column(Column { values, of: like.of.clone(), name, counter }))
}

pub(super) fn rate(run: &Run, args: &[Value]) -> Answer<Value> {
    let (counter, name) = direct(args, "rate")?;
    if !counter.counter {
        return wrong(format!("`rate` is for counters, `{}.{name}` is none; use `delta(column, hours(1))`", counter.of.name()));
    }
    let rates = counter.of.changes.as_ref().and_then(|changes| changes.rates.get(&*name).cloned());
    column(run, counter, rates, None, false)
}

pub(super) fn prev(run: &Run, args: &[Value]) -> Answer<Value> {
    let (now, name) = direct(args, "prev")?;
    let before = now.of.changes.as_ref().and_then(|changes| changes.previous_values(&name));
    column(run, now, before, None, now.counter)
}

pub(super) fn delta(run: &Run, args: &[Value]) -> Answer<Value> {
    let (now, name) = direct(args, "delta")?;
    let changes = now.of.changes_since(run, window(run, args, "delta")?);
    let values = changes.and_then(|changes| if now.counter { growth(&changes, &name) } else { difference(&changes, now, &name) });
    column(run, now, values, None, false)
}

/// How much a counter grew; unknown over a reset.
fn growth(changes: &FrameChanges, name: &str) -> Option<Arc<[f64]>> {
    Some(changes.rates.get(name)?.iter().map(|rate| rate * changes.interval_s).collect())
}

fn difference(changes: &FrameChanges, now: &Column, name: &str) -> Option<Arc<[f64]>> {
    Some(now.values.iter().zip(changes.previous_values(name)?.iter()).map(|(now, before)| now - before).collect())
}

/// With a window the value then; with one number an age as text.
pub(super) fn ago(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::Column(_)] => wrong("`ago` of a column needs a window: `ago(column, hours(1))`; the age of one row is `ago(t.column)`"),
        [_] => show::age(args),
        _ => {
            let (now, name) = direct(args, "ago")?;
            let then = now.of.changes_since(run, window(run, args, "ago")?).and_then(|changes| changes.previous_values(&name));
            column(run, now, then, None, now.counter)
        }
    }
}
