//! When a sequence will run out, told from how fast it was drawn over a day and over a week.
//!
//! No state is kept: the host's history answers what was drawn over each window. One window alone is easily fooled, a week by
//! what began yesterday and a day by last night's batch. So the two must agree before anybody is called; where they do not,
//! or there is no week yet, the nearer date is told as worth knowing and no more.
use pgsteward_sdk::prelude::*;

plugin! {
    plugin "sequence_forecast" { version "1.0.0"; summary "Tells when a sequence will run out"; }

    rule "sequence_forecast" {
        title "A sequence will run out of numbers";
        category "schema";
        tier "ticket";
        interval "1h";
        runbook "Why: at the end every insert fails.\n\
                 Do: change the column to bigint in time: add a bigint column, fill it in batches, swap.\n\
                 False alarm: a one-off load; the two windows then disagree and nobody is called.\n\
                 See: https://www.postgresql.org/docs/current/sql-createsequence.html";

        settings Settings {
            number warn = 90.0, 1.0..=3650.0, "days", "warn when it ends within so many days";
            number crit = 14.0, 1.0..=3650.0, "days", "critical when it ends within so many days";
            number agree = 0.5, 0.0..=1.0, "ratio", "the nearer date must be at least this share of the farther one";
        }
        from "sequences" row Sequence {
            gauge last_value;
            gauge max_value;
            flag cycles;
            delta last_value "1d" as day;
            optional delta last_value "7d" as week;
        }
        require |set| set.crit <= set.warn, "`crit` must be at most `warn`";
        rows judge;
    }
}

/// How sure a forecast is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trust {
    /// Both windows say about the same.
    Agreed,
    /// They do not.
    Disagreed,
    /// There is no week of history.
    DayOnly,
}

/// Days until the end at the pace of one window; infinite when it does not come nearer.
fn days_left(room: f64, drawn: f64, window: f64) -> f64 {
    let days = room / (drawn / window);
    if drawn == 0.0 || days.is_nan() || days < 0.0 { f64::INFINITY } else { days }
}

/// The date to tell and how sure it is. Agreed windows are told at their common pace, others at the nearer date.
fn forecast(s: &Sequence, agree: f64) -> (f64, Trust) {
    // Signed, so that a descending sequence is the same sum.
    let room = s.max_value - s.last_value;
    let day = days_left(room, s.day, 1.0);
    let Some(drawn) = s.week else { return (day, Trust::DayOnly) };
    let week = days_left(room, drawn, 7.0);
    let (nearer, farther) = (day.min(week), day.max(week));
    if farther.is_finite() && nearer >= agree * farther {
        return (days_left(room, s.day + drawn, 8.0), Trust::Agreed);
    }
    (nearer, Trust::Disagreed)
}

fn judge(s: &Sequence, set: &Settings) -> Option<Finding> {
    if s.cycles {
        return None;
    }
    if s.last_value == s.max_value {
        return Some(told(critical("sequence {schema}.{sequence} has reached its end"), s, 0.0, set.crit));
    }
    let (days, trust) = forecast(s, set.agree);
    let calls = trust == Trust::Agreed;
    let (finding, limit) = match days {
        days if calls && days < set.crit => (critical("sequence {schema}.{sequence} ends in {days left}"), set.crit),
        days if calls && days < set.warn => (warning("sequence {schema}.{sequence} ends in {days left}"), set.warn),
        days if days < set.crit => (info("sequence {schema}.{sequence} would end in {days left}, if it went on like this"), set.crit),
        _ => return None,
    };
    let why = match trust {
        Trust::Agreed => "A day and a week say about the same.",
        Trust::Disagreed => "A day and a week do not agree, so this is the nearer date of the two and nobody is called.",
        Trust::DayOnly => "There is no week of history yet to hold the day against.",
    };
    Some(told(finding.detail(why), s, days, limit))
}

fn told(finding: Finding, s: &Sequence, days: f64, limit: f64) -> Finding {
    finding
        .evidence("days left", days, limit, "days")
        .evidence("drawn in a day", s.day.abs(), None, "")
        .evidence("drawn in a week", s.week.map_or(f64::NAN, f64::abs), None, "")
        .evidence("sequences.last_value", s.last_value, None, "")
        .action(note("Change the column that it feeds to bigint while there is time, or raise the limit of the sequence."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million left, drawn at this pace over a day and over a week.
    fn sequence(day: f64, week: Option<f64>) -> Sequence {
        Sequence { last_value: 2_146_483_647.0, max_value: 2_147_483_647.0, cycles: false, day, week }
    }

    fn severity(s: &Sequence) -> Option<Severity> {
        judge(s, &Settings::default()).map(|found| found.severity)
    }

    #[test]
    fn agreed_windows_call_by_the_date() {
        assert_eq!(severity(&sequence(100_000.0, Some(700_000.0))), Some(Severity::Critical));
        assert_eq!(severity(&sequence(20_000.0, Some(140_000.0))), Some(Severity::Warning));
        assert_eq!(severity(&sequence(1_000.0, Some(7_000.0))), None);
        let found = judge(&sequence(100_000.0, Some(700_000.0)), &Settings::default()).expect("a finding");
        assert_eq!(found.evidence[0].value, 10.0);
    }

    #[test]
    fn a_burst_or_a_lull_is_worth_knowing_and_no_more() {
        assert_eq!(severity(&sequence(100_000.0, Some(100_000.0))), Some(Severity::Info));
        assert_eq!(severity(&sequence(0.0, Some(700_000.0))), Some(Severity::Info));
        assert_eq!(severity(&sequence(20_000.0, Some(20_000.0))), None);
    }

    #[test]
    fn without_a_week_nobody_is_called() {
        assert_eq!(severity(&sequence(500_000.0, None)), Some(Severity::Info));
    }

    #[test]
    fn a_descending_sequence_is_the_same_sum() {
        let down = Sequence { last_value: -1_000_000.0, max_value: -2_000_000.0, cycles: false, day: -100_000.0, week: Some(-700_000.0) };
        assert_eq!(forecast(&down, 0.5), (10.0, Trust::Agreed));
    }

    #[test]
    fn still_set_back_and_cycling_sequences_are_quiet() {
        assert_eq!(severity(&sequence(0.0, Some(0.0))), None);
        assert_eq!(severity(&sequence(-5.0, Some(-5.0))), None);
        assert_eq!(severity(&Sequence { cycles: true, ..sequence(1e6, Some(7e6)) }), None);
    }

    #[test]
    fn at_the_end_it_is_critical_whatever_the_pace() {
        assert_eq!(severity(&Sequence { last_value: 2_147_483_647.0, ..sequence(0.0, None) }), Some(Severity::Critical));
    }
}
