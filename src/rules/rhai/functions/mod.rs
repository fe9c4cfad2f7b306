//! The functions of the language, in one list. All take values of any type and say themselves what does not fit.
//!
//! `x.f(y)` is `f(x, y)`. The list is what load-time checks, "did you mean" and the reference page are made from.

mod number;
mod past;
mod report;
mod row;
mod show;

use std::any::TypeId;

use rhai::{Dynamic, Module};

use super::error::Answer;
use super::operators::{set_native, take};
use super::run::{Run, run_of};
use super::value::Value;

pub(in crate::rules) use report::with_why;
pub(super) use report::{FINDING_KEYS, unknown_key};
pub(super) use show::time_factor;

/// One function.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    /// How it is called and what it answers, one line.
    pub doc: &'static str,
    call: fn(&Run, &[Value]) -> Answer<Value>,
}

const fn function(name: &'static str, arity: (usize, usize), doc: &'static str, call: fn(&Run, &[Value]) -> Answer<Value>) -> Function {
    Function { name, arity, doc, call }
}

/// All functions, by name.
pub const FUNCTIONS: &[Function] = &[
    function("abs", (1, 1), "abs(x): without its sign; number or column", number::abs),
    function("action", (1, 3), "action(\"vacuum\", t, #{analyze: true}): an action on a row; `why` is for people", report::action),
    function("ago", (1, 2), "ago(column, hours(1)): the value then; ago(seconds): the age as text, `never` when NULL", past::ago),
    function("all", (1, 1), "all(mask): whether every row is true", number::all),
    function("any", (1, 1), "any(mask): whether some row is true", number::any),
    function("avg", (1, 1), "avg(column): mean of the known values, NULL when there are none", number::avg),
    function("bytes", (1, 1), "bytes(n): `1.5 GB`", show::bytes),
    function("ceil", (1, 1), "ceil(x): the next whole number up; number or column", number::ceil),
    function("contains", (2, 2), "contains(text, part), contains(list, x): also written `x in list`", row::contains),
    function("count", (1, 1), "count(mask): rows that are true; count(frame): its rows", number::count),
    function("days", (1, 1), "days(n): in seconds", show::days),
    function("delta", (2, 2), "delta(column, hours(1)): the change over a window; counters know resets", past::delta),
    function("ends_with", (2, 2), "ends_with(text, end): text or text column", row::ends_with),
    function(
        "evidence",
        (2, 4),
        "evidence(t, \"dead\", limit), evidence(\"name\", value, limit, \"unit\"): a measured fact",
        report::evidence,
    ),
    function("finding", (1, 2), "finding(t, #{severity, summary, ..}): a problem of a row; without `t` of the server", report::finding),
    function("floor", (1, 1), "floor(x): the next whole number down; number or column", number::floor),
    function("gb", (1, 1), "gb(n): in bytes", show::gb),
    function("hours", (1, 1), "hours(n): in seconds", show::hours),
    function("human", (1, 1), "human(n): `1.2 M`", show::human),
    function("is_empty", (1, 1), "is_empty(x): whether a frame, list, map or text has nothing in it", row::is_empty),
    function("is_null", (1, 1), "is_null(x): whether it is unknown; value, column or mask", number::is_null),
    function("kb", (1, 1), "kb(n): in bytes", show::kb),
    function("keys", (1, 1), "keys(map): its names", row::keys),
    function("len", (1, 1), "len(x): elements of a list or map, characters of a text, rows of a frame", row::len),
    function("max", (1, 2), "max(column): greatest known value; max(a, b): the greater; numbers or columns", number::max),
    function("mb", (1, 1), "mb(n): in bytes", show::mb),
    function("min", (1, 2), "min(column): least known value; min(a, b): the lesser; numbers or columns", number::min),
    function("minutes", (1, 1), "minutes(n): in seconds", show::minutes),
    function("note", (1, 2), "note(\"text\"): advice in words", report::note),
    function("one_of", (2, 2), "one_of(column, [..]): which rows hold one of these", row::one_of),
    function("or_else", (2, 2), "or_else(x, value): `value` where `x` is unknown", number::or_else),
    function("percentile", (2, 2), "percentile(column, 95): of the known values", number::percentile),
    function("prev", (1, 1), "prev(column): the value at the previous reading", past::prev),
    function("rate", (1, 1), "rate(counter): change a second since the previous reading", past::rate),
    function("ratio", (2, 2), "ratio(part, whole): 0 of nothing is 0, something of nothing is unknown", number::ratio),
    function("round", (1, 2), "round(x, digits): a number for a message", number::round),
    function("rows", (1, 2), "frame.rows(mask): the rows that are true, to loop over", row::rows),
    function("seconds", (1, 1), "seconds(n)", show::seconds),
    function("span", (1, 1), "span(seconds): `1d 2h`", show::span),
    function("starts_with", (2, 2), "starts_with(text, start): text or text column", row::starts_with),
    function("sum", (1, 1), "sum(column): of the known values", number::sum),
    function("tb", (1, 1), "tb(n): in bytes", show::tb),
    function("top", (2, 2), "frame.top(\"column\"): the row with the greatest value, NULL without one", row::top),
    function("when", (3, 3), "when(mask, a, b): `a` where true, else `b`; numbers or columns", number::when),
];

/// Functions that are no entry of the list because they change their first argument or are operators too.
pub(super) const OTHERS: [(&str, (usize, usize)); 4] = [("and", (2, 2)), ("not", (1, 1)), ("or", (2, 2)), ("push", (2, 2))];

/// Fewest and most arguments of a function.
pub(super) fn arity(name: &str) -> Option<(usize, usize)> {
    let own = FUNCTIONS.iter().find(|f| f.name == name).map(|f| f.arity);
    own.or_else(|| OTHERS.iter().find(|(other, _)| *other == name).map(|(_, arity)| *arity))
}

/// All names.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    FUNCTIONS.iter().map(|f| f.name).chain(OTHERS.iter().map(|(name, _)| *name))
}

/// Registers all functions.
pub(super) fn register(module: &mut Module) {
    for function in FUNCTIONS {
        for arguments in function.arity.0..=function.arity.1 {
            let call = function.call;
            set_native(module, function.name, &vec![TypeId::of::<Dynamic>(); arguments], false, move |context, args| {
                let run = run_of(context.as_ref())?;
                let values: Vec<Value> = (0..args.len()).map(|at| take(args, at)).collect();
                Ok(call(&run, &values)?.into())
            });
        }
    }
    set_native(module, "push", &[TypeId::of::<rhai::Array>(), TypeId::of::<Dynamic>()], true, |_, args| {
        if let [list, item] = args {
            let item = std::mem::take(*item);
            if let Ok(mut list) = list.as_array_mut() {
                list.push(item);
            }
        }
        Ok(Dynamic::UNIT)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_each_line_shows_its_function() {
        assert!(FUNCTIONS.is_sorted_by_key(|f| f.name));
        for f in FUNCTIONS {
            assert!(f.doc.contains(&format!("{}(", f.name)), "{}", f.name);
        }
    }
}
