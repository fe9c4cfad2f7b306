//! For each table the fewest indexes that serve what all of them serve: advises to drop the others, and says who serves instead.
//!
//! `redundant_index` and `duplicate_index` look at pairs. This looks at the set: what is only served by an index that itself should go
//! is said to be served by the one that stays, columns in INCLUDE and reversed orders count, and of equals one is left.
//!
//! pgsteward gives definitions only of invalid, duplicate, redundant and large unscanned indexes. Of the others the
//! rule knows what the catalogue says of them (`duplicate_of`, `redundant_to`); where neither is known, it says nothing.

mod cover;
mod definition;

use std::collections::HashMap;

use pgsteward_sdk::prelude::*;

use cover::redundant;
use definition::Definition;

plugin! {
    plugin "index_cover" { version "1.0.0"; summary "Finds the fewest indexes that serve what all of a table's serve"; }

    rule "index_cover" {
        title "Other indexes do all the work of this one";
        category "indexes";
        tier "advice";
        interval "6h";
        runbook "Why: each index is written with every insert and most updates, and takes cache from the others.\n\
                 Do: try the important statements in a transaction with the index dropped and rolled back, then drop it CONCURRENTLY.\n\
                 False alarm: a small hot index beside a very wide one can be worth its price.";

        settings Settings {
            number min_bytes = 10_485_760.0, 0.0..=1e14, "bytes", "smaller indexes are left alone";
        }
        from "indexes" row Index {
            label database;
            label schema;
            label table;
            label index;
            gauge bytes;
            gauge scans;
            flag is_unique;
            flag is_valid;
            flag is_ready;
            flag is_partial;
            flag is_expression;
            flag backs_constraint;
            flag is_replica_identity;
            flag is_partition_attached;
            optional text definition;
            optional label duplicate_of;
            optional label redundant_to;
        }
        whole judge;
    }
}

/// A table with more indexes is not looked at: the work grows with their cube, and so many are nobody's plan.
const MOST: usize = 300;

type Table<'a> = Vec<&'a Seen<Index>>;

fn judge(input: &Input<Index>, set: &Settings) -> Result<Evaluation, String> {
    let mut tables: HashMap<(Label, Label, Label), Table<'_>> = HashMap::new();
    // Partial indexes and those on expressions serve searches of their own, and broken ones serve none.
    for index in input.rows.iter().filter(|i| i.is_valid && i.is_ready && !i.is_partial && !i.is_expression) {
        tables.entry((index.database, index.schema, index.table)).or_default().push(index);
    }
    let worth_it =
        |table: &&Table<'_>| table.len() > 1 && table.iter().any(|i| i.definition.or(i.duplicate_of).or(i.redundant_to).is_some());
    let (known, too_many): (Vec<&Table<'_>>, Vec<&Table<'_>>) = tables.values().filter(worth_it).partition(|table| table.len() <= MOST);
    let mut findings: Vec<Finding> = known.into_iter().flat_map(|table| advise(table, set)).collect();
    findings.sort_by_key(|finding| finding.row);
    let mut evaluation: Evaluation = findings.into_iter().collect();
    for table in too_many {
        log!(warn, "a table with {} indexes is not looked at, {MOST} are the most", table.len());
        table.iter().for_each(|index| evaluation.unknown(index.row));
    }
    Ok(evaluation)
}

fn advise(table: &Table<'_>, set: &Settings) -> Vec<Finding> {
    let names = Label::texts(&table.iter().map(|i| i.index).collect::<Vec<_>>());
    let definitions: Vec<Option<String>> = table.iter().map(|i| i.definition.map(|text| text.text())).collect();
    let indexes: Vec<cover::Index> = table.iter().zip(&names).zip(&definitions).map(|((i, name), text)| described(i, name, text)).collect();
    let gone = redundant(&indexes);
    let enough = table.len() - gone.len();
    let told = gone.iter().filter(|(at, _)| table[*at].bytes >= set.min_bytes);
    told.map(|(at, by)| found(table[*at], definitions[*at].as_deref(), &names[*by], enough, table.len(), set)).collect()
}

fn described(index: &Index, name: &str, definition: &Option<String>) -> cover::Index {
    cover::Index {
        name: name.into(),
        definition: definition.as_deref().and_then(Definition::parse),
        is_unique: index.is_unique,
        is_held: index.backs_constraint || index.is_replica_identity || index.is_partition_attached,
        told: [index.duplicate_of, index.redundant_to].into_iter().flatten().map(|label| label.text()).collect(),
        bytes: index.bytes,
    }
}

fn found(index: &Seen<Index>, definition: Option<&str>, by: &str, enough: usize, all: usize, set: &Settings) -> Finding {
    let drop = drop_index().why(format!("served by {by}"));
    let drop = match definition.filter(|text| !text.is_empty()) {
        Some(text) => drop.definition(text),
        None => drop,
    };
    info(format!("index {{schema}}.{{index}} on {{table}} ({{indexes.bytes}}) is served by {}", plain(by)))
        .detail(format!("{enough} of the {all} indexes of {{table}} that are looked at are enough for what all of them serve."))
        .on(index.row)
        .evidence("indexes.bytes", index.bytes, set.min_bytes, "bytes")
        .evidence("indexes.scans", index.scans, None, "")
        .action(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, keys: &str) -> Index {
        let text = format!("CREATE INDEX {name} ON public.orders USING btree ({keys})");
        Index {
            table: Label::named("orders"),
            index: Label::named(name),
            bytes: 50e6,
            is_valid: true,
            is_ready: true,
            definition: Some(Label::named(&text)),
            ..Index::default()
        }
    }

    fn said(rows: Vec<Index>) -> Vec<(Option<u32>, String)> {
        let evaluation = judge(&Input::of(rows), &Settings::default()).expect("an evaluation");
        evaluation.findings.into_iter().map(|f| (f.row, f.actions[0].why.clone())).collect()
    }

    #[test]
    fn the_one_that_stays_is_named_and_the_way_back_is_kept() {
        let rows = vec![index("a", "x"), index("abc", "x, y, z"), index("ab", "x, y")];
        assert_eq!(said(rows.clone()), [(Some(0), "served by abc".into()), (Some(2), "served by abc".into())]);
        let first = judge(&Input::of(rows), &Settings::default()).expect("an evaluation").findings.remove(0);
        assert_eq!(first.actions[0].param("definition"), Some(&Value::Text("CREATE INDEX a ON public.orders USING btree (x)".into())));
        assert!(first.detail.starts_with("1 of the 3 indexes"), "{}", first.detail);
    }

    #[test]
    fn tables_do_not_mix() {
        let other = Index { table: Label::named("lines"), ..index("ab", "x, y") };
        assert!(said(vec![index("a", "x"), other]).is_empty());
    }

    #[test]
    fn small_partial_and_broken_ones_are_left_alone() {
        assert!(said(vec![Index { bytes: 1e6, ..index("a", "x") }, index("ab", "x, y")]).is_empty());
        assert!(said(vec![Index { is_partial: true, ..index("a", "x") }, index("ab", "x, y")]).is_empty());
        assert!(said(vec![index("a", "x"), Index { is_valid: false, ..index("ab", "x, y") }]).is_empty());
    }

    #[test]
    fn a_table_with_too_many_is_unknown_and_the_log_says_so() {
        let rows = (0..=MOST).map(|n| index(&format!("i{n}"), "x")).collect();
        let evaluation = judge(&Input::of(rows), &Settings::default()).expect("an evaluation");
        assert_eq!((evaluation.findings.len(), evaluation.unknown.len()), (0, MOST + 1));
        assert_eq!(pgsteward_sdk::testing::logged().len(), 1);
    }

    #[test]
    fn without_definitions_the_catalogue_is_believed() {
        let wide = Index { definition: None, ..index("wide", "") };
        let a = Index { definition: None, redundant_to: Some(Label::named("wide")), ..index("a", "") };
        assert_eq!(said(vec![wide, a]), [(Some(1), "served by wide".into())]);
    }

    #[test]
    fn braces_in_a_name_are_not_filled_in() {
        let found = judge(&Input::of(vec![index("a", "x"), index("a{b}", "x, y")]), &Settings::default()).expect("an evaluation");
        assert!(found.findings[0].summary.ends_with("served by a{{b}}"), "{}", found.findings[0].summary);
    }
}
