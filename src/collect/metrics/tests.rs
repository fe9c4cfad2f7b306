//! What every metric owes: a documented frame, a key that identifies, SQL for a known span of versions, and no function
//! that can hurt the server under watch.

use std::collections::BTreeSet;

use super::*;
use crate::model::{ColumnKind, FrameDef};

fn frames() -> Vec<FrameDef> {
    let metrics = all().into_iter().map(|metric| metric.frame);
    [target::frame(), disk::frame()].into_iter().chain(metrics).collect()
}

#[test]
fn every_frame_and_column_is_named_once_and_documented() {
    let names: BTreeSet<String> = frames().into_iter().map(|frame| frame.name).collect();
    assert_eq!(names.len(), frames().len(), "two frames have the same name");
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for frame in frames() {
        let columns: BTreeSet<&str> = frame.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(columns.len(), frame.columns.len(), "two columns of `{}` have the same name", frame.name);
        assert!(is_name(&frame.name) && frame.doc.ends_with('.'), "`{}`", frame.name);
        for column in &frame.columns {
            let one_line = column.doc.ends_with('.') && !column.doc.contains('\n') && column.doc.len() <= 140;
            assert!(is_name(&column.name) && one_line, "`{}.{}`: {}", frame.name, column.name, column.doc);
        }
    }
}

#[test]
fn keys_are_labels_and_the_reset_column_is_a_time() {
    for frame in frames() {
        for key in &frame.key {
            assert_eq!(frame.column(key).map(|c| c.kind), Some(ColumnKind::Label), "key `{}.{key}`", frame.name);
        }
        if let Some(reset) = &frame.reset_column {
            assert_eq!(frame.column(reset).map(|c| c.kind), Some(ColumnKind::Time), "`{}.{reset}`", frame.name);
        }
    }
}

#[test]
fn the_catalogue_has_every_frame() {
    let catalog = catalog();
    let listed: Vec<&str> = catalog.frames().map(|frame| frame.name.as_str()).collect();
    let mut wanted: Vec<String> = frames().into_iter().map(|frame| frame.name).collect();
    wanted.sort();
    assert_eq!(listed, wanted);
}

#[test]
fn the_list_is_the_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collect/metrics");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter_map(|name| name.strip_suffix(".rs").map(String::from)).collect();
    let others = ["build", "mod", "tests"].map(String::from);
    let wanted: BTreeSet<String> = frames().into_iter().map(|frame| frame.name).chain(others).collect();
    assert_eq!(files, wanted);
}

#[test]
fn versions_ascend_and_every_supported_major_has_its_text() {
    for metric in all() {
        let name = &metric.frame.name;
        let first = metric.sql.first().unwrap_or_else(|| panic!("`{name}` has no SQL")).0;
        assert!(metric.sql.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1), "the versions of `{name}` do not ascend");
        for major in [13, 14, 15, 16, 17, 18, 19] {
            let number = major * 10_000 + 4;
            assert_eq!(metric.sql_for(number).is_some(), number >= first, "`{name}` on {major}");
        }
        assert!(first <= 160_000, "`{name}` has no text for 16");
    }
}

#[test]
fn cadences_are_whole_and_the_heavy_ones_are_rare() {
    for metric in all() {
        let name = &metric.frame.name;
        assert!([0, 60, 300, 600, 900, 3_600].contains(&metric.every_s), "`{name}` every {} s", metric.every_s);
        assert!(
            metric.cost < crate::model::CostClass::Heavy || metric.every_s >= 300,
            "`{name}` is heavy and due every {} s",
            metric.every_s
        );
        assert!(metric.timeout_ms.is_none_or(|ms| (1_000..=30_000).contains(&ms)), "`{name}`");
    }
}

#[test]
fn no_sql_calls_what_waits_or_walks_files() {
    let forbidden = [
        "pg_relation_size",
        "pg_total_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_get_indexdef",
        "pg_get_expr",
        "dblink",
        "pg_sleep",
    ];
    for metric in all() {
        let name = &metric.frame.name;
        for (version, sql) in &metric.sql {
            for word in forbidden {
                assert!(!sql.contains(word), "`{name}` calls {word} from {version} on");
            }
            assert_eq!(sql.contains("pg_database_size"), name == "sizes", "`{name}` and pg_database_size");
        }
    }
}

#[test]
fn every_sql_is_one_select_without_marks_or_comments() {
    for metric in all() {
        let name = &metric.frame.name;
        for (version, sql) in &metric.sql {
            assert!(["SELECT", "WITH", "(SELECT"].iter().any(|start| sql.starts_with(start)), "`{name}` from {version} on");
            assert!(!sql.contains("--") && !sql.contains(';'), "`{name}` from {version} on keeps a mark or ends a statement");
        }
    }
}

#[test]
fn top_says_what_the_sql_limits() {
    for metric in all() {
        if let Some(top) = metric.top {
            let limited = metric.sql.iter().all(|(_, sql)| sql.contains(&format!("LIMIT {top}")));
            assert!(limited, "`{}` says top {top}", metric.frame.name);
        }
    }
}

#[test]
fn rows_of_each_database_can_be_told_apart() {
    for metric in all().iter().filter(|metric| metric.scope == crate::model::Scope::EachDatabase) {
        assert!(metric.frame.key.iter().any(|key| key == "database"), "`{}`", metric.frame.name);
    }
}

#[test]
fn what_only_pg_monitor_sees_is_refused_to_others_and_says_so() {
    for metric in all() {
        let name = &metric.frame.name;
        for (version, sql) in &metric.sql {
            let hidden = ["pg_stat_activity", "pg_stat_replication AS", "pg_stat_wal_receiver", ".pg_stat_statements("];
            let reads_hidden = hidden.iter().any(|source| sql.contains(source)) && name != "statements_info";
            assert!(!reads_hidden || sql.contains("pg_ls_waldir() LIMIT 0"), "`{name}` from {version} on would be blind and not say so");
            assert!(!sql.contains("pg_ls_") || metric.grant.starts_with("GRANT pg_monitor"), "`{name}` has no remedy");
        }
    }
}
