//! The file-wide blocks of the classic form: `aggregation.deduplication` and `suppression.maintenance_windows`.
//!
//! They are not rules. They become the values that the deciding is configured with, for `config` to take over.

use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;

use crate::calendar::{Form, Weekly, Window};
use crate::model::{MaintenanceWindow, Matchers};
use crate::problem::Problem;
use crate::yaml::{Fields, Node, Value, text_of};

/// What classic files say beyond their rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassicPolicy {
    /// Dedup window in seconds, 0 when switched off; `None` when no file says.
    pub dedup_s: Option<u64>,
    /// The windows that are enabled.
    pub windows: Vec<MaintenanceWindow>,
}

impl ClassicPolicy {
    /// Adds what another file says; its dedup window wins.
    pub fn extend(&mut self, other: Self) {
        self.dedup_s = other.dedup_s.or(self.dedup_s);
        self.windows.extend(other.windows);
    }

    /// Reads both blocks from the top of a file.
    pub(crate) fn read(file: &str, fields: &mut Fields<'_>) -> Self {
        let mut policy = Self::default();
        let mut problems = Vec::new();
        if let Some(node) = fields.node("aggregation") {
            policy.dedup_s = read_block(file, node, "aggregation", &mut problems, |inner, problems| {
                inner.node("deduplication").and_then(|node| read_dedup(file, node, problems))
            })
            .flatten();
        }
        if let Some(node) = fields.node("suppression") {
            let windows = read_block(file, node, "suppression", &mut problems, |inner, problems| {
                let list = inner.list("maintenance_windows").unwrap_or_default();
                list.iter().filter_map(|node| read_window(file, node, problems)).collect::<Vec<_>>()
            });
            policy.windows = windows.unwrap_or_default();
        }
        fields.problems.append(&mut problems);
        policy
    }
}

/// Opens a map, lets `read` take what it knows, and reports the rest.
fn read_block<T>(
    file: &str,
    node: &Node,
    what: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&mut Fields<'_>, &mut Vec<Problem>) -> T,
) -> Option<T> {
    match Fields::open(file, node, &format!("`{what}`")) {
        Ok(mut fields) => {
            let value = read(&mut fields, problems);
            problems.extend(fields.finish());
            Some(value)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn read_dedup(file: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<u64> {
    let (enabled, window) = read_block(file, node, "deduplication", problems, |fields, _| {
        (fields.flag("enabled").unwrap_or(true), fields.seconds("window").unwrap_or(3600))
    })?;
    if !enabled {
        let message = "deduplication is off: each tick tells every firing alert again";
        problems.push(Problem::warning(file, node.at, message));
    }
    Some(if enabled { window } else { 0 })
}

fn read_window(file: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<MaintenanceWindow> {
    let (window, enabled) = read_block(file, node, "a maintenance window", problems, |fields, _| {
        let enabled = fields.flag("enabled").unwrap_or(true);
        (read_window_fields(file, fields), enabled)
    })?;
    window.filter(|_| enabled)
}

fn read_window_fields(file: &str, fields: &mut Fields<'_>) -> Option<MaintenanceWindow> {
    let name_node = fields.required("name");
    let name = name_node.and_then(text_of);
    let start = read_time(fields, "start_time");
    let end = read_time(fields, "end_time");
    let days = read_days(fields);
    let zone = read_zone(fields);
    let (name, zone) = (name?, zone?);
    if zone.is_none()
        && let Some(node) = name_node
    {
        let message = format!("{name}: no time_zone, read as UTC");
        fields.problems.push(Problem::warning(file, node.at, message).hint("add `time_zone: Europe/Paris` or whichever is meant"));
    }
    let weekly = Weekly { days: days?, start: start?, end: end?, all_day: false };
    let window = Window::new(Form::Weekly(weekly), zone.unwrap_or(Tz::UTC));
    Some(MaintenanceWindow { name, matchers: Matchers::default(), window })
}

fn read_time(fields: &mut Fields<'_>, key: &'static str) -> Option<NaiveTime> {
    let node = fields.required(key)?;
    let text = text_of(node).unwrap_or_default();
    if text == "24:00" && key == "end_time" {
        return Some(NaiveTime::MIN);
    }
    let time = ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(&text, form).ok());
    if time.is_none() {
        fields.error(node, format!("`{key}` must be a time such as \"22:00\", this is `{text}`"));
    }
    time
}

/// `None` inside for no zone, outside for one that there is not.
fn read_zone(fields: &mut Fields<'_>) -> Option<Option<Tz>> {
    let Some(node) = fields.node("time_zone") else { return Some(None) };
    let text = text_of(node).unwrap_or_default();
    let zone = text.parse::<Tz>().ok();
    if zone.is_none() {
        fields.error(node, format!("unknown time zone `{text}`"));
    }
    zone.map(Some)
}

fn read_days(fields: &mut Fields<'_>) -> Option<Vec<Weekday>> {
    let node = fields.required("day_of_week")?;
    let list = match &node.value {
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut days = Vec::new();
    let mut right = true;
    for node in list {
        match read_day(node) {
            Ok(some) => days.extend(some),
            Err(message) => {
                fields.error(node, message);
                right = false;
            }
        }
    }
    right.then_some(days)
}

/// The days of a word; none for `daily`, which a window reads as every day.
fn read_day(node: &Node) -> Result<Option<Weekday>, String> {
    if let Value::Number(number) = node.value {
        let from_sunday = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
        let from_monday = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let at = number as usize;
        return Err(match (from_sunday.get(at), from_monday.get(at)) {
            (Some(cron), Some(python)) if number >= 0.0 => {
                format!("`day_of_week: {number}` is {cron} where weeks begin on Sunday (cron) and {python} where on Monday; write the day")
            }
            _ => format!("`day_of_week: {number}` is no day; write the day"),
        });
    }
    let word = text_of(node).unwrap_or_default().to_lowercase();
    if matches!(word.as_str(), "daily" | "every day" | "*" | "all") {
        return Ok(None);
    }
    word.parse().map(Some).map_err(|_| format!("unknown day `{word}` (monday .. sunday, or daily)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn read(text: &str) -> (ClassicPolicy, Vec<String>) {
        let root = parse("c.yaml", text).unwrap();
        let mut fields = Fields::open("c.yaml", &root, "a rule file").unwrap();
        let policy = ClassicPolicy::read("c.yaml", &mut fields);
        (policy, fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_window_without_zone_is_utc_and_says_so() {
        let (policy, problems) = read(
            "aggregation:\n  deduplication: {enabled: true, window: 2h}\nsuppression:\n  maintenance_windows:\n    \
             - {name: sunday_night, start_time: \"22:00\", end_time: \"04:00\", day_of_week: sunday, enabled: true}\n    \
             - {name: off, start_time: \"22:00\", end_time: \"24:00\", day_of_week: [mon, tue], enabled: false, time_zone: Europe/Paris}\n",
        );
        assert_eq!(policy.dedup_s, Some(7200));
        let [window] = &policy.windows[..] else { panic!("{policy:?}") };
        let Form::Weekly(weekly) = &window.window.form else { panic!("{window:?}") };
        assert_eq!((window.name.as_str(), &weekly.days[..], window.window.zone), ("sunday_night", &[Weekday::Sun][..], Tz::UTC));
        assert_eq!(
            problems,
            ["c.yaml:5:14: warning: sunday_night: no time_zone, read as UTC; add `time_zone: Europe/Paris` or whichever is meant"]
        );
    }

    #[test]
    fn a_number_is_no_day_and_both_readings_are_shown() {
        let (policy, problems) = read(
            "suppression:\n  maintenance_windows:\n    - {name: w, start_time: \"9\", end_time: \"25:00\", day_of_week: 0, time_zone: Paris}\n",
        );
        assert!(policy.windows.is_empty());
        assert_eq!(
            problems,
            [
                "c.yaml:3:29: error: `start_time` must be a time such as \"22:00\", this is `9`",
                "c.yaml:3:44: error: `end_time` must be a time such as \"22:00\", this is `25:00`",
                "c.yaml:3:66: error: `day_of_week: 0` is sunday where weeks begin on Sunday (cron) and monday where on Monday; write the day",
                "c.yaml:3:80: error: unknown time zone `Paris`",
            ]
        );
    }

    #[test]
    fn deduplication_can_be_off() {
        let (policy, problems) = read("aggregation: {deduplication: {enabled: false}}\n");
        assert_eq!((policy.dedup_s, problems.len()), (Some(0), 1));
    }
}
