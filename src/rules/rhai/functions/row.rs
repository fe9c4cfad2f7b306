//! Rows of a frame, texts and lists.

use std::sync::Arc;

use super::super::column::{Buffer, Mask};
use super::super::error::{Answer, wrong};
use super::super::operators::within;
use super::super::run::Run;
use super::super::value::Value;
use super::super::view::{Rows, View};

fn frame<'a>(args: &'a [Value], function: &str) -> Answer<&'a Arc<View>> {
    match args.first() {
        Some(Value::Frame(view)) => Ok(view),
        Some(Value::Unknown) => wrong(format!("this frame could not be read: write `frame?.{function}(..)`")),
        other => wrong(format!("`{function}` is asked of a frame, this is {}", other.map_or("nothing", Value::kind))),
    }
}

/// The rows to loop over; remembers the verdict on all the others.
pub(super) fn rows(run: &Run, args: &[Value]) -> Answer<Value> {
    let view = frame(args, "rows")?;
    let all = |verdict: u8| Buffer::made(run.meter(), vec![verdict; view.rows()].into_iter());
    let values = match args.get(1) {
        None => all(1)?,
        Some(Value::Flag(flag)) => all(u8::from(*flag))?,
        Some(Value::Mask(mask)) if mask.of.is_same(view) => mask.values.clone(),
        Some(Value::Mask(mask)) if mask.of.is_one_row() => all(mask.values.first().copied().unwrap_or(2))?,
        Some(Value::Mask(mask)) => return wrong(format!("this mask is about `{}`, not about `{}`", mask.of.name(), view.name())),
        Some(Value::Unknown) => return wrong("`rows` takes a mask, this is unknown (NULL)"),
        Some(other) => return wrong(format!("`rows` takes a mask, this is {}", other.kind())),
    };
    let hits: Vec<u32> = match run.probed(view, &values) {
        Some(row) => vec![row as u32],
        None => values.iter().enumerate().filter(|(_, v)| **v == 1).map(|(row, _)| row as u32).collect(),
    };
    let hits = Buffer::made(run.meter(), hits.into_iter())?;
    run.notes().judged.push(Mask { values, of: view.clone() });
    Ok(Value::Rows(Rows { of: view.clone(), hits }))
}

pub(super) fn top(run: &Run, args: &[Value]) -> Answer<Value> {
    let view = frame(args, "top")?;
    let column = args.get(1).map_or_else(|| wrong("`top` takes the name of a column"), |value| value.word("top"))?;
    Ok(view.top(run, column)?.map_or(Value::Unknown, Value::Row))
}

fn texts(run: &Run, args: &[Value], name: &str, f: fn(&str, &str) -> bool) -> Answer<Value> {
    let [text, part] = args else { return wrong(format!("`{name}` takes two arguments")) };
    let part = part.word(name)?;
    match text {
        Value::Texts(texts) => Ok(Value::Mask(texts.test(run.meter(), |word| f(word, part))?)),
        Value::Unknown => Ok(Value::Unknown),
        other => Ok(Value::Flag(f(other.word(name)?, part))),
    }
}

pub(super) fn starts_with(run: &Run, args: &[Value]) -> Answer<Value> {
    texts(run, args, "starts_with", |word, part| word.starts_with(part))
}

pub(super) fn ends_with(run: &Run, args: &[Value]) -> Answer<Value> {
    texts(run, args, "ends_with", |word, part| word.ends_with(part))
}

/// Also `x in list`, which the language turns around.
pub(super) fn contains(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::List(list), value] => within(run, list.clone(), value.clone()),
        [Value::Map(map), key] => Ok(Value::Flag(map.contains_key(key.word("contains")?))),
        [Value::Text(_) | Value::Texts(_) | Value::Unknown, _] => texts(run, args, "contains", |word, part| word.contains(part)),
        [other, _] => wrong(format!("`in` and `contains` look into a list, a map or text, this is {}", other.kind())),
        _ => wrong("`contains` takes two arguments"),
    }
}

pub(super) fn one_of(run: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [value, Value::List(list)] => within(run, list.clone(), value.clone()),
        _ => wrong("`one_of` takes a column and a list: `one_of(column, [\"a\", \"b\"])`"),
    }
}

fn size(args: &[Value], name: &str) -> Answer<usize> {
    match args {
        [Value::List(list)] => Ok(list.len()),
        [Value::Map(map)] => Ok(map.len()),
        [Value::Text(text)] => Ok(text.chars().count()),
        [Value::Frame(view)] => Ok(view.rows()),
        [Value::Rows(rows)] => Ok(rows.hits.len()),
        [Value::Unknown] => wrong(format!("`{name}` of unknown (NULL): guard it with `x != ()`")),
        other => wrong(format!("`{name}` takes a list, a map, text or a frame, this is {}", other.first().map_or("nothing", Value::kind))),
    }
}

pub(super) fn len(_: &Run, args: &[Value]) -> Answer<Value> {
    Ok(Value::Int(size(args, "len")? as i64))
}

pub(super) fn is_empty(_: &Run, args: &[Value]) -> Answer<Value> {
    Ok(Value::Flag(size(args, "is_empty")? == 0))
}

pub(super) fn keys(_: &Run, args: &[Value]) -> Answer<Value> {
    match args {
        [Value::Map(map)] => Ok(Value::List(map.keys().map(|key| key.to_string().into()).collect())),
        _ => wrong("`keys` takes a map"),
    }
}
