//! Which rows of its own frame a plugin is handed: all, or those that may meet the conditions it declares (`where`).
//!
//! Most rows of most rules are far from any limit, and handing them over costs more than the whole judgement. So a rule
//! may say what a row must have at least: `tables.dead >= min_dead and rate(tables.n_tup_upd) > 0`. The conditions are
//! compared here, natively, and only say what need not be looked at; the plugin still judges. A row whose alert fires is
//! always handed over, since a rule may be slower to end than to begin, and so is one in which an optional input is unknown.
//! Deliberately absent: arithmetic and `or`, which are the plugin's own business.

use pgsteward_helpers::parse_quantity;

use super::input::Columns;
use crate::model::{Input, RuleInput, SettingDef, SettingValue};
use crate::rules::Condition as Asked;

/// Conditions of one rule.
const MOST: usize = 16;

/// What a row must have at least to be handed over; no condition hands over all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Select(Vec<Condition>);

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    /// As it was written.
    text: String,
    /// Position among the needs.
    need: usize,
    op: Op,
    than: Than,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Rows looked at together: few hold, so that most blocks are passed over by one comparison of vectors.
const BLOCK: usize = 16;

/// The rows whose value is to be kept.
fn holding(values: &[f64], keep: impl Fn(f64) -> bool) -> Vec<u32> {
    let mut rows = Vec::new();
    for (block, first) in values.chunks(BLOCK).zip((0u32..).step_by(BLOCK)) {
        if block.iter().fold(false, |any, value| any | keep(*value)) {
            rows.extend(block.iter().zip(first..).filter(|(value, _)| keep(**value)).map(|(_, row)| row));
        }
    }
    rows
}

/// Signs, longest first.
const OPS: [(&str, Op); 4] = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Less), (">", Op::More)];

#[derive(Debug, Clone, PartialEq)]
enum Than {
    Number(f64),
    Setting(String),
    Need(usize),
}

impl Select {
    /// Reads the conditions of a rule over the frame `from`.
    ///
    /// # Errors
    /// What cannot be read, in one fragment.
    pub(super) fn read(text: &str, from: Option<&str>, needs: &[Input], settings: &[SettingDef]) -> Result<Self, String> {
        let Some(from) = from else { return Err("`where` chooses among the rows of `from`, and the rule has none".into()) };
        let scope = Scope { from, needs, settings };
        let conditions = text.split(" and ").map(|part| scope.condition(part.trim())).collect::<Result<Vec<_>, _>>()?;
        if conditions.len() > MOST { Err(format!("`where` has more than {MOST} conditions")) } else { Ok(Self(conditions)) }
    }

    /// The rows that are handed over, in their order; `None` when all are. `firing` are rows whose alert fires, sorted.
    pub(super) fn rows(&self, needs: &[Input], columns: &Columns, firing: &[u32], input: &RuleInput) -> Option<Vec<u32>> {
        let first = self.0.first()?;
        let mut rows = first.scan(needs, columns, input)?;
        for condition in self.0.iter().skip(1) {
            let holds = condition.test(needs, columns, input)?;
            rows.retain(|row| holds(*row as usize));
        }
        for row in firing {
            if let Err(at) = rows.binary_search(row) {
                rows.insert(at, *row);
            }
        }
        Some(rows)
    }

    /// Each condition for one row: for people who ask why it was not handed over.
    pub(super) fn conditions(&self, needs: &[Input], columns: &Columns, row: usize, input: &RuleInput) -> Vec<Asked> {
        let told = |condition: &Condition| {
            let needed = [Some(condition.need), if let Than::Need(need) = condition.than { Some(need) } else { None }];
            let needed = needed.iter().flatten().filter_map(|need| needs.get(*need)).map(ToString::to_string);
            let setting = if let Than::Setting(name) = &condition.than { Some(format!("settings.{name}")) } else { None };
            let known = condition.is_known(columns, row);
            let holds = condition.test(needs, columns, input).filter(|_| known).map(|holds| holds(row));
            Asked { reads: needed.chain(setting).collect(), ..Asked::plain("where", condition.text.as_str(), holds) }
        };
        self.0.iter().map(told).collect()
    }
}

struct Scope<'a> {
    from: &'a str,
    needs: &'a [Input],
    settings: &'a [SettingDef],
}

impl Scope<'_> {
    fn condition(&self, text: &str) -> Result<Condition, String> {
        let found =
            OPS.iter().filter_map(|(sign, op)| Some((text.find(sign)?, *sign, *op))).min_by_key(|(at, sign, _)| (*at, 2 - sign.len()));
        let Some((at, sign, op)) = found else { return Err(format!("`where`: `{text}` compares nothing; write `tables.dead >= 10000`")) };
        let (left, right) = (text.get(..at).unwrap_or_default().trim(), text.get(at + sign.len()..).unwrap_or_default().trim());
        let need = self.need(left).ok_or_else(|| format!("`where`: `{left}` is none of the rule's needs in `{}`", self.from))?;
        Ok(Condition { text: text.into(), need, op, than: self.than(right)? })
    }

    /// A need of the rule's own frame, as it is written among the needs.
    fn need(&self, text: &str) -> Option<usize> {
        self.needs.iter().position(|need| need.frame == self.from && need.column.is_some() && need.to_string() == text)
    }

    fn than(&self, text: &str) -> Result<Than, String> {
        if let Some(need) = self.need(text) {
            return Ok(Than::Need(need));
        }
        if let Some(def) = self.settings.iter().find(|def| def.name == text) {
            return match def.default {
                SettingValue::Number(_) => Ok(Than::Setting(text.into())),
                _ => Err(format!("`where`: the setting `{text}` is no number")),
            };
        }
        let number = parse_quantity(text).map(|quantity| quantity.value);
        number.map(Than::Number).map_err(|_| format!("`where`: `{text}` is no number, no setting and none of the rule's needs"))
    }
}

impl Condition {
    /// The rows for which it may hold; `None` when there are no values to compare.
    fn scan(&self, needs: &[Input], columns: &Columns, input: &RuleInput) -> Option<Vec<u32>> {
        let values = columns.0.get(self.need)?.as_deref()?;
        // A fixed limit on a required input is the usual case, and the one whose loop has nothing to look up.
        if let (Some(limit), false) = (self.limit(input), needs.get(self.need)?.optional) {
            return Some(match self.op {
                Op::Less => holding(values, |value| value < limit),
                Op::AtMost => holding(values, |value| value <= limit),
                Op::More => holding(values, |value| value > limit),
                Op::AtLeast => holding(values, |value| value >= limit),
            });
        }
        let holds = self.test(needs, columns, input)?;
        let all = 0..u32::try_from(values.len()).unwrap_or(u32::MAX);
        Some(all.filter(|row| holds(*row as usize)).collect())
    }

    /// Whether all that it compares is known in a row.
    fn is_known(&self, columns: &Columns, row: usize) -> bool {
        let known = |need: usize| columns.0.get(need).and_then(|values| values.as_ref()?.get(row)).is_some_and(|value| !value.is_nan());
        known(self.need) && if let Than::Need(need) = self.than { known(need) } else { true }
    }

    fn limit(&self, input: &RuleInput) -> Option<f64> {
        match &self.than {
            Than::Number(number) => Some(*number),
            Than::Setting(name) => input.settings.number(name),
            Than::Need(_) => None,
        }
    }

    fn test<'a>(&'a self, needs: &[Input], columns: &'a Columns, input: &RuleInput) -> Option<impl Fn(usize) -> bool + 'a> {
        let values = columns.0.get(self.need)?.as_deref()?;
        let other = match &self.than {
            Than::Need(need) => Some(columns.0.get(*need)?.as_deref()?),
            _ => None,
        };
        let limit = self.limit(input).unwrap_or(f64::NAN);
        // Where a required input is unknown the host knows the row already; an optional one leaves the question open.
        let involved = [Some(self.need), if let Than::Need(need) = self.than { Some(need) } else { None }];
        let open = involved.iter().flatten().any(|need| needs.get(*need).is_some_and(|need| need.optional));
        Some(move |row: usize| {
            let value = values.get(row).copied().unwrap_or(f64::NAN);
            let limit = other.map_or(limit, |other| other.get(row).copied().unwrap_or(f64::NAN));
            if value.is_nan() || limit.is_nan() {
                return open;
            }
            match self.op {
                Op::Less => value < limit,
                Op::AtMost => value <= limit,
                Op::More => value > limit,
                Op::AtLeast => value >= limit,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Coverage, Moment, Settings, Unit};
    use crate::rules::fixtures::{at, tables};

    fn need(column: &str, optional: bool) -> Input {
        Input { frame: "tables".into(), column: Some(column.into()), moment: Moment::Now, optional }
    }

    fn least() -> SettingDef {
        SettingDef { name: "least".into(), default: SettingValue::Number(10.0), range: None, unit: Unit::Rows, doc: String::new() }
    }

    fn input(least: f64) -> RuleInput {
        RuleInput {
            now: at(0),
            snapshot: tables(&[], Coverage::default()),
            changes: Arc::default(),
            past: Arc::default(),
            firing: Arc::default(),
            active: Arc::default(),
            settings: Arc::new(Settings(BTreeMap::from([("least".into(), SettingValue::Number(least))]))),
        }
    }

    fn read(text: &str, needs: &[Input]) -> Result<Select, String> {
        Select::read(text, Some("tables"), needs, &[least()])
    }

    /// The rows chosen of two columns, `dead` and `live`.
    fn chosen(text: &str, optional: bool, dead: &[f64], live: &[f64], firing: &[u32]) -> Vec<u32> {
        let needs = [need("dead", false), need("live", optional)];
        let columns = Columns(vec![Some(dead.into()), Some(live.into())]);
        read(text, &needs).unwrap().rows(&needs, &columns, firing, &input(10.0)).unwrap()
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn rows_that_may_meet_all_conditions_are_handed_over() {
        let (dead, live) = ([5.0, 10.0, 20.0, NAN, 30.0], [1.0, 50.0, 2.0, 2.0, NAN]);
        for (text, rows) in [
            ("tables.dead >= least", vec![1, 2, 4]),
            ("tables.dead > 10", vec![2, 4]),
            ("tables.dead<=10", vec![0, 1]),
            ("tables.dead < 1000 and tables.live < 10", vec![0, 2]),
            ("tables.dead > tables.live", vec![0, 2]),
        ] {
            assert_eq!(chosen(text, false, &dead, &live, &[]), rows, "{text}");
        }
    }

    #[test]
    fn an_unknown_optional_input_leaves_the_question_to_the_plugin() {
        let (dead, live) = ([20.0, 20.0, 20.0], [1.0, NAN, 50.0]);
        assert_eq!(chosen("tables.live > 10", true, &dead, &live, &[]), [1, 2]);
        assert_eq!(chosen("tables.dead > least and tables.live > 10", true, &dead, &live, &[]), [1, 2]);
        assert_eq!(chosen("tables.live > 10", false, &dead, &live, &[]), [2]);
    }

    #[test]
    fn rows_whose_alert_fires_are_always_handed_over() {
        assert_eq!(chosen("tables.dead > 10", false, &[1.0, 20.0, 2.0], &[1.0; 3], &[0, 1]), [0, 1]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let needs = [need("dead", false)];
        for (text, why) in [
            ("tables.dead", "`where`: `tables.dead` compares nothing; write `tables.dead >= 10000`"),
            ("tables.live > 1", "`where`: `tables.live` is none of the rule's needs in `tables`"),
            ("tables.dead > most", "`where`: `most` is no number, no setting and none of the rule's needs"),
            ("tables.dead > 1 or tables.dead < 0", "`where`: `1 or tables.dead < 0` is no number, no setting and none of the rule's needs"),
        ] {
            assert_eq!(read(text, &needs).unwrap_err(), why);
        }
        assert!(Select::read("x > 1", None, &needs, &[]).is_err());
        assert!(read(&["tables.dead > 1"; 17].join(" and "), &needs).is_err());
    }

    proptest! {
        #[test]
        fn the_quick_loop_chooses_as_the_slow_one(dead in prop::collection::vec(prop_oneof![Just(NAN), 0.0..20.0f64], 0..40)) {
            let live = vec![10.0; dead.len()];
            for op in ["<", "<=", ">", ">="] {
                let quick = chosen(&format!("tables.dead {op} 10"), false, &dead, &live, &[]);
                let slow = chosen(&format!("tables.dead {op} tables.live"), false, &dead, &live, &[]);
                prop_assert_eq!(quick, slow);
            }
        }
    }
}
