//! Units into numbers and numbers into text. The words come from the helper crate that guests link too.

use super::super::error::Answer;
use super::super::run::Run;
use super::super::value::Value;

fn shown(args: &[Value], name: &str, show: fn(f64) -> String) -> Answer<Value> {
    let number = args.first().map_or(Ok(f64::NAN), |value| value.number(name))?;
    Ok(Value::text(show(number)))
}

fn times(args: &[Value], name: &str, factor: f64) -> Answer<Value> {
    let number = args.first().map_or(Ok(f64::NAN), |value| value.number(name))?;
    Ok(Value::Float(number * factor))
}

pub(super) fn human(_: &Run, args: &[Value]) -> Answer<Value> {
    shown(args, "human", pgsteward_helpers::human)
}

pub(super) fn bytes(_: &Run, args: &[Value]) -> Answer<Value> {
    shown(args, "bytes", pgsteward_helpers::bytes)
}

pub(super) fn span(_: &Run, args: &[Value]) -> Answer<Value> {
    shown(args, "span", pgsteward_helpers::span)
}

pub(super) fn age(args: &[Value]) -> Answer<Value> {
    shown(args, "ago", pgsteward_helpers::ago)
}

pub(super) fn seconds(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "seconds", 1.0)
}

pub(super) fn minutes(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "minutes", 60.0)
}

pub(super) fn hours(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "hours", 3_600.0)
}

pub(super) fn days(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "days", 86_400.0)
}

pub(super) fn kb(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "kb", 1024.0)
}

pub(super) fn mb(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "mb", 1024f64.powi(2))
}

pub(super) fn gb(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "gb", 1024f64.powi(3))
}

pub(super) fn tb(_: &Run, args: &[Value]) -> Answer<Value> {
    times(args, "tb", 1024f64.powi(4))
}

/// The factor of a unit function, for windows that are written in one.
pub(in super::super) fn time_factor(name: &str) -> Option<f64> {
    match name {
        "seconds" => Some(1.0),
        "minutes" => Some(60.0),
        "hours" => Some(3_600.0),
        "days" => Some(86_400.0),
        _ => None,
    }
}
