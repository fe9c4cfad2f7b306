//! The small words that metric files are written in: columns, frames, metrics with the usual values, SQL by version.
//!
//! A metric has one SQL text. A line that only some majors understand ends in `-- 17+`, `-- to 16` or `-- 14 to 16`, and
//! `by_version` makes a text for each span from it. So a column that came or went is one marked line and not a second
//! copy of the query. The last column of a list is never a marked one, for the comma's sake.

use crate::model::{ColumnDef, ColumnKind, CostClass, FrameDef, Metric, Need, Role, Scope, Sensitivity, Unit};

/// The oldest major that the shipped SQL is written for.
pub(super) const OLDEST: u32 = 13;

/// What a role needs for the folder listings and for what other sessions do.
///
/// Without it the server hides other sessions' states instead of refusing, and a blind look would pass for a quiet server.
/// So the SQL of such metrics holds `NOT EXISTS (SELECT 1 FROM pg_ls_waldir() LIMIT 0)`: that function is never run, but a
/// role that may not run it is refused at once, and the frame is missing with this remedy.
pub(super) const PG_MONITOR: &str = "GRANT pg_monitor TO the_monitoring_role;";

fn column(name: &str, kind: ColumnKind, unit: Unit, sensitivity: Sensitivity, doc: &str) -> ColumnDef {
    ColumnDef { name: name.into(), kind, unit, sensitivity, doc: doc.into() }
}

pub(super) fn label(name: &str, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Label, Unit::None, Sensitivity::Public, doc)
}

pub(super) fn text(name: &str, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Text, Unit::None, Sensitivity::Public, doc)
}

/// A text that may hold what a statement holds.
pub(super) fn statement(name: &str, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Text, Unit::None, Sensitivity::Statement, doc)
}

/// A label or text that tells where a client sits.
pub(super) fn address(name: &str, kind: ColumnKind, doc: &str) -> ColumnDef {
    column(name, kind, Unit::None, Sensitivity::ClientAddress, doc)
}

pub(super) fn gauge(name: &str, unit: Unit, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Gauge, unit, Sensitivity::Public, doc)
}

pub(super) fn counter(name: &str, unit: Unit, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Counter, unit, Sensitivity::Public, doc)
}

pub(super) fn time(name: &str, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Time, Unit::Seconds, Sensitivity::Public, doc)
}

pub(super) fn flag(name: &str, doc: &str) -> ColumnDef {
    column(name, ColumnKind::Flag, Unit::None, Sensitivity::Public, doc)
}

pub(super) fn frame(name: &str, doc: &str, key: &[&str], columns: Vec<ColumnDef>) -> FrameDef {
    FrameDef { name: name.into(), doc: doc.into(), key: key.iter().map(|k| (*k).into()).collect(), columns, reset_column: None }
}

/// The same frame, whose counters begin anew when this time column changes.
pub(super) fn reset_by(column: &str, frame: FrameDef) -> FrameDef {
    FrameDef { reset_column: Some(column.into()), ..frame }
}

/// A cheap metric of the whole server, due at every tick. Files override what differs.
pub(super) fn instance(frame: FrameDef, sql: Vec<(u32, String)>) -> Metric {
    Metric {
        frame,
        scope: Scope::Instance,
        role: Role::Any,
        every_s: 0,
        timeout_ms: None,
        cost: CostClass::Cheap,
        needs: vec![],
        grant: String::new(),
        top: None,
        sql,
    }
}

/// A metric read once in every database, every five minutes. Files override what differs.
pub(super) fn each_database(frame: FrameDef, sql: Vec<(u32, String)>) -> Metric {
    Metric { scope: Scope::EachDatabase, every_s: 300, cost: CostClass::Moderate, ..instance(frame, sql) }
}

pub(super) fn extension(name: &str, min_version: &str) -> Vec<Need> {
    vec![Need::Extension { name: name.into(), min_version: min_version.into() }]
}

/// The texts of a marked SQL by smallest `server_version_num`, for servers from major `from` on.
pub(super) fn by_version(from: u32, marked: &str) -> Vec<(u32, String)> {
    let lines: Vec<(u32, u32, &str)> = marked.trim().lines().map(span).collect();
    let ends = lines.iter().flat_map(|(first, last, _)| [*first, last.saturating_add(1)]);
    let mut majors: Vec<u32> = ends.filter(|major| *major > from && *major < u32::MAX).collect();
    majors.push(from);
    majors.sort_unstable();
    majors.dedup();
    let text = |major: u32| {
        let kept = lines.iter().filter(|(first, last, _)| (*first..=*last).contains(&major));
        kept.map(|(_, _, line)| *line).collect::<Vec<_>>().join("\n")
    };
    majors.into_iter().map(|major| (major * 10_000, text(major))).collect()
}

/// The first and last major that understand a line, and the line without its mark.
fn span(line: &str) -> (u32, u32, &str) {
    let all = (0, u32::MAX, line.trim_end());
    let Some((sql, mark)) = line.rsplit_once(" -- ") else { return all };
    let major = |word: &str| word.parse::<u32>().ok();
    let words: Vec<&str> = mark.split_whitespace().collect();
    let found = match words.as_slice() {
        ["to", last] => major(last).map(|last| (0, last)),
        [first, "to", last] => major(first).zip(major(last)),
        [first] => first.strip_suffix('+').and_then(major).map(|first| (first, u32::MAX)),
        _ => None,
    };
    found.map_or(all, |(first, last)| (first, last, sql.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_stand_only_in_the_texts_of_their_majors() {
        let marked = "SELECT a,\n old, -- to 16\n mid, -- 14 to 16\n new, -- 17+\n z";
        let texts = by_version(13, marked);
        let found: Vec<(u32, &str)> = texts.iter().map(|(from, sql)| (*from, sql.as_str())).collect();
        assert_eq!(
            found,
            [(130_000, "SELECT a,\n old,\n z"), (140_000, "SELECT a,\n old,\n mid,\n z"), (170_000, "SELECT a,\n new,\n z"),]
        );
    }

    #[test]
    fn a_source_that_came_later_has_no_text_for_older_servers() {
        assert_eq!(by_version(16, "SELECT 1 -- 14+"), [(160_000, "SELECT 1".to_string())]);
    }
}
