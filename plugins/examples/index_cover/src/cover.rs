//! Of the indexes of one table: the fewest that serve what all of them serve.
//!
//! *Serves* is an order: who serves what b serves, serves what a serves when b does. So the answer needs no search. Going through
//! the indexes that may be dropped, each goes that another one left serves; what goes is still served in the end, because whoever
//! served it and went later was served too. And nobody is left that another one left serves, so none can be spared.

use crate::definition::Definition;

/// An index among those of its table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// Its name.
    pub(crate) name: String,
    /// What it can serve, where that is known.
    pub(crate) definition: Option<Definition>,
    /// Whether it guards uniqueness.
    pub(crate) is_unique: bool,
    /// Whether something besides queries needs it: a constraint, the replica identity, its partitioned parent.
    pub(crate) is_held: bool,
    /// Indexes that the server's catalogue says serve what it serves.
    pub(crate) told: Vec<String>,
    /// For choosing whom to name: the smaller serves at less cost.
    pub(crate) bytes: f64,
}

/// Which indexes can go, each with one that stays and serves what it served.
pub(crate) fn redundant(indexes: &[Index]) -> Vec<(usize, usize)> {
    let served = closure(indexes);
    let mut stays = vec![true; indexes.len()];
    let mut order: Vec<usize> = (0..indexes.len()).filter(|at| !indexes[*at].is_held).collect();
    // Of equals the first by name stays, as `duplicate_of` has it.
    order.sort_by(|a, b| indexes[*b].name.cmp(&indexes[*a].name));
    for at in &order {
        stays[*at] = !(0..indexes.len()).any(|by| by != *at && stays[by] && served[*at][by]);
    }
    order.sort_unstable();
    let gone = order.into_iter().filter(|at| !stays[*at]);
    let server = |at: usize| {
        let those = (0..indexes.len()).filter(|by| stays[*by] && served[at][*by]);
        those.min_by(|a, b| indexes[*a].bytes.total_cmp(&indexes[*b].bytes).then_with(|| indexes[*a].name.cmp(&indexes[*b].name)))
    };
    gone.filter_map(|at| Some((at, server(at)?))).collect()
}

/// `[a][b]`: whether b serves what a serves, directly or by way of others.
fn closure(indexes: &[Index]) -> Vec<Vec<bool>> {
    let direct = |a: &Index| indexes.iter().map(|b| a.name != b.name && (a.told.contains(&b.name) || serves(b, a))).collect();
    let mut served: Vec<Vec<bool>> = indexes.iter().map(direct).collect();
    for way in 0..indexes.len() {
        let beyond = served[way].clone();
        for row in served.iter_mut().filter(|row| row[way]) {
            row.iter_mut().zip(&beyond).for_each(|(to, more)| *to |= more);
        }
    }
    served
}

/// Whether b can take the place of a, by their definitions: its keys begin with a's, in the same order or wholly reversed (a b-tree is
/// read both ways), it holds the columns that a includes, and it guards what a guards.
fn serves(b: &Index, a: &Index) -> bool {
    let (Some(wide), Some(narrow)) = (&b.definition, &a.definition) else { return false };
    if narrow.keys.len() > wide.keys.len() {
        return false;
    }
    let pairs = || narrow.keys.iter().zip(&wide.keys);
    let same_columns = pairs().all(|(x, y)| x.column == y.column && x.ways == y.ways);
    let forwards = pairs().all(|(x, y)| x.descending == y.descending && x.nulls_first == y.nulls_first);
    let backwards = pairs().all(|(x, y)| x.descending != y.descending && x.nulls_first != y.nulls_first);
    let guards = !a.is_unique || b.is_unique && narrow.keys.len() == wide.keys.len() && narrow.nulls_equal == wide.nulls_equal;
    same_columns && (forwards || backwards) && guards && narrow.included.iter().all(|column| wide.holds(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name: keys [INCLUDE (..)]`.
    fn index(text: &str) -> Index {
        let (name, keys) = text.split_once(": ").expect("a name");
        let (unique, keys) = keys.strip_prefix("unique ").map_or((false, keys), |keys| (true, keys));
        let definition = Definition::parse(&format!("CREATE INDEX {name} ON s.t USING btree {keys}"));
        assert!(definition.is_some(), "{text}");
        Index { name: name.into(), definition, is_unique: unique, ..Index::default() }
    }

    fn gone(indexes: &[Index]) -> Vec<String> {
        redundant(indexes).into_iter().map(|(a, b)| format!("{} by {}", indexes[a].name, indexes[b].name)).collect()
    }

    fn of(texts: &[&str]) -> Vec<String> {
        gone(&texts.iter().map(|text| index(text)).collect::<Vec<_>>())
    }

    #[test]
    fn beginnings_go_and_the_one_that_stays_is_named() {
        assert_eq!(of(&["a: (x)", "ab: (x, y)", "abc: (x, y, z)", "b: (y)"]), ["a by abc", "ab by abc"]);
        assert!(of(&["a: (x, y)", "b: (y, x)", "c: (z)"]).is_empty());
    }

    #[test]
    fn of_equals_the_first_stays_and_only_one() {
        assert_eq!(of(&["c: (x)", "a: (x)", "b: (x)"]), ["c by a", "b by a"]);
    }

    #[test]
    fn a_b_tree_is_read_both_ways_but_not_mixed() {
        assert_eq!(of(&["down: (x DESC, y DESC)", "up: (x, y, z)"]), ["down by up"]);
        assert!(of(&["mixed: (x, y DESC)", "up: (x, y, z)"]).is_empty());
        assert!(of(&["last: (x DESC NULLS LAST)", "up: (x, y)"]).is_empty());
    }

    #[test]
    fn included_columns_must_be_held_too() {
        assert!(of(&["a: (x) INCLUDE (p)", "ab: (x, y)"]).is_empty());
        assert_eq!(of(&["a: (x) INCLUDE (y)", "ab: (x, y)"]), ["a by ab"]);
        assert_eq!(of(&["a: (x) INCLUDE (p)", "ab: (x, y) INCLUDE (p, q)"]), ["a by ab"]);
    }

    #[test]
    fn what_guards_stays_unless_another_guards_the_same() {
        assert!(of(&["u: unique (x)", "ab: (x, y)"]).is_empty());
        assert!(of(&["u: unique (x)", "w: unique (x, y)"]).is_empty());
        assert_eq!(of(&["u: unique (x)", "a: (x)"]), ["a by u"]);
        assert_eq!(of(&["u: unique (x)", "w: unique (x)"]), ["w by u"]);
    }

    #[test]
    fn what_is_held_stays_and_can_serve() {
        let held = |text| Index { is_held: true, ..index(text) };
        assert_eq!(gone(&[held("pk: unique (x)"), index("a: unique (x)")]), ["a by pk"]);
        assert!(gone(&[held("a: (x)"), index("ab: (x, y)")]).is_empty());
        assert!(gone(&[held("a: (x)"), held("b: (x)")]).is_empty());
    }

    #[test]
    fn other_collations_and_classes_serve_other_searches() {
        assert!(of(&["a: (x pg_catalog.text_pattern_ops)", "ab: (x, y)"]).is_empty());
    }

    #[test]
    fn what_the_catalogue_says_joins_what_the_definitions_say() {
        let told = |name: &str, by: &str| Index { name: name.into(), told: vec![by.into()], ..Index::default() };
        let unknown = Index { name: "wide".into(), ..Index::default() };
        // a is told to be served by ab, and ab by wide, of which no definition is known.
        let chain = [told("a", "ab"), Index { told: vec!["wide".into()], ..index("ab: (x, y)") }, unknown];
        assert_eq!(gone(&chain), ["a by wide", "ab by wide"]);
        // What the catalogue names and the rule does not see serves nobody.
        assert!(gone(&[told("a", "elsewhere")]).is_empty());
    }

    #[test]
    fn every_one_that_goes_is_served_by_one_that_stays_and_none_more_can_go() {
        // All subsets of a pool with every kind of relation in it.
        let pool: Vec<Index> = [
            "a: (x)",
            "b: (x)",
            "c: (x, y)",
            "d: (x DESC, y DESC)",
            "e: (x, y) INCLUDE (z)",
            "f: (x, y, z)",
            "g: unique (x)",
            "h: unique (x, y)",
            "i: (y)",
        ]
        .iter()
        .map(|text| index(text))
        .collect();
        for chosen in 0u32..1 << pool.len() {
            let some: Vec<Index> = pool.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, i)| i.clone()).collect();
            let gone = redundant(&some);
            let stays = |at: usize| gone.iter().all(|(a, _)| *a != at);
            assert!(gone.iter().all(|(_, by)| stays(*by)));
            for at in (0..some.len()).filter(|at| stays(*at)) {
                assert!((0..some.len()).filter(|by| *by != at && stays(*by)).all(|by| !serves(&some[by], &some[at])), "{chosen:b}");
            }
        }
    }
}
