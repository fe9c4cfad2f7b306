//! The bulk loops against the same thing said row by row, over random columns with NULL in them.

use proptest::prelude::*;

use super::*;

/// What a row is worth: `dead > live`, and so on, in Rust's own words.
fn by_hand(dead: Option<f64>, live: Option<f64>, running: Option<bool>) -> Option<bool> {
    let greater = dead.zip(live).map(|(dead, live)| dead > live);
    let share = dead.zip(live).and_then(|(dead, live)| if live == 0.0 { None } else { Some(dead / live >= 0.5) });
    let and = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    let or = |a: Option<bool>, b: Option<bool>| and(a.map(|a| !a), b.map(|b| !b)).map(|both| !both);
    or(and(greater, running.map(|running| !running)), share)
}

fn cell<T>(value: Option<T>, cell: fn(T) -> Cell) -> Cell {
    value.map_or(Null, cell)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bulk_is_row_by_row(rows in prop::collection::vec((
        prop::option::of((0..4_i32).prop_map(f64::from)),
        prop::option::of((0..4_i32).prop_map(f64::from)),
        prop::option::of(any::<bool>()),
    ), 0..40)) {
        let cells: Vec<[(&str, Cell); 3]> = rows
            .iter()
            .map(|(dead, live, running)| [("dead", cell(*dead, N)), ("live", cell(*live, N)), ("vacuum_running", cell(*running, B))])
            .collect();
        let tables: Vec<RowOf<'_>> = cells.iter().map(|row| &row[..]).collect();
        let source = "let m = tables.dead > tables.live and not(tables.vacuum_running) or tables.dead / tables.live >= 0.5;
                      finding(#{summary: `${count(m)} ${count(is_null(m))}`});";
        let rule = compile(header(&["tables"], &[]), source).unwrap();
        let outcome = rule.evaluate(&World::empty().with("tables", &tables).input(rule.meta()));
        let Outcome::Ok(evaluation) = outcome else { panic!("{}", outcome.reason()) };
        let verdicts: Vec<Option<bool>> = rows.iter().map(|(dead, live, running)| by_hand(*dead, *live, *running)).collect();
        let count = |wanted: Option<bool>| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        prop_assert_eq!(&evaluation.findings[0].summary, &format!("{} {}", count(Some(true)), count(None)));
    }
}
