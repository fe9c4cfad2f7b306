//! What hostile text and files come in through, one function a door; each must neither panic nor go on for ever.
//!
//! Beyond that they check what must hold whatever comes in: a problem can be shown, a secret does not show, a window that
//! is named is open. `fuzz_targets/` hands them to libFuzzer, `tests/fuzz_smoke.rs` runs them over mutated seeds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta};
use pgsteward::app::silence::times;
use pgsteward::app::{oneshot, setup, turn};
use pgsteward::cli::shared;
use pgsteward::collect::{Endpoint, EndpointDefaults, Sample, Surroundings, metrics};
use pgsteward::config::{self, Source};
use pgsteward::deliver::card::Card;
use pgsteward::deliver::escape::Escape;
use pgsteward::deliver::template::Templates;
use pgsteward::env::Env;
use pgsteward::model::{Catalog, Evidence, Labels, Matchers, Notice, Silence, Unit};
use pgsteward::problem::Problem;
use pgsteward::rules::rhai::Limits;
use pgsteward::rules::{self, Loaded, RuleFile};
use pgsteward::text::safe;
use pgsteward::yaml::{self, Fields};
use pgsteward::{alert, calendar};

/// A door.
#[derive(Debug)]
pub struct Target {
    /// The same as in `fuzz_targets/`.
    pub name: &'static str,
    /// What is done with the bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with, that get far.
    pub seeds: &'static [&'static [u8]],
}

/// All doors.
pub const TARGETS: &[Target] = &[
    Target {
        name: "config",
        run: config,
        seeds: &[include_bytes!("../src/config/example.yaml"), include_bytes!("seeds/config.yaml"), include_bytes!("seeds/classic.yaml")],
    },
    Target {
        name: "rule_yaml",
        run: rule_yaml,
        seeds: &[
            include_bytes!("seeds/classic.yaml"),
            include_bytes!("../rules/capacity/database_growth.yaml"),
            include_bytes!("seeds/metric.yaml"),
        ],
    },
    Target {
        name: "rule_script",
        run: rule_script,
        seeds: &[
            include_bytes!("../rules/vacuum/dead_tuples_past_trigger.rhai"),
            include_bytes!("../rules/locks/blocked_sessions.rhai"),
            include_bytes!("../rules/queries/top_consumer.rhai"),
        ],
    },
    Target { name: "rule_test", run: rule_test, seeds: &[include_bytes!("../rules/vacuum/dead_tuples_past_trigger.test.yaml")] },
    Target {
        name: "dsn",
        run: dsn,
        seeds: &[
            b"postgresql://u:s3cr3t@[::1]:5432,db2:5433/shop?sslmode=verify-full&application_name=x%20y",
            b"host=db1,db2 port=5432 user='a b' password='s3\\'cr3t' dbname=shop sslmode=require connect_timeout=3",
            b"host=/tmp user=x",
        ],
    },
    Target {
        name: "window",
        run: window,
        seeds: &[
            b"sun\n22:00\n04:00\nEurope/Paris\n2026-11-24",
            b"mon-fri\n00:00\n24:00\nAmerica/New_York\n2026-10-31",
            b"daily\n02:30\n02:45\nUTC",
            b"0 22 * * sun\n21600\n\nEurope/Paris\n2026-10-20",
            b"30 2 29 2 *\n600\n\nAustralia/Lord_Howe\n2026-11-24",
        ],
    },
    Target {
        name: "matchers",
        run: matchers,
        seeds: &[
            b"tier=prod,severity>=warning\ntier=prod\nseverity=critical",
            b"{table=~\"orders_.*\", team!=(shop|\"data, old\")}\ntable=orders_1",
            b"rule!~\"tmp.*\"\nrule=long_query",
        ],
    },
    Target {
        name: "silence",
        run: silence,
        seeds: &[b"30m\n\n", b"\n2026-11-24 18:00\n2026-11-24T12:00:00+01:00", b"1d 12h\n\n2026-11-25 00:00:00Z", b"4e9s\n\n+262142-12-31 23:59"],
    },
    Target {
        name: "template",
        run: template,
        seeds: &[
            b"{{ heading }} {{ labels.team|default('-') }}\n\n*{{ summary }}*\n{% for fact in facts %}{{ fact.name }}={{ fact.value|unit(fact.unit) }} {% endfor %}\n\n<!channel> @everyone [click](https://evil)",
            b"{{ severity|upper }}\n\n{% set x %}{{ about.table }}{% endset %}{{ x ~ summary }}{{ [x, about]|join(x) }}\n\n</p><script>&amp;\x1b[2J",
            b"{{ target }}\n\n{% if resolved %}{{ lasted|span }}{% else %}{{ detail|indent(2) }}{% endif %}{% filter trim %}{{ see }}{% endfilter %}\n\n`x` **b** <@U1>",
        ],
    },
    Target { name: "sample", run: sample, seeds: &[include_bytes!("seeds/sample.json")] },
    Target { name: "quantity", run: quantity, seeds: &[b"512MB", b"1h30m", b"99.9%", b"1.2M", b"-5 ms", b"1e308 TB"] },
    Target {
        name: "plugin_file",
        run: plugin_file,
        // A plugin that finds nothing, with two files packed into it, and its core module.
        seeds: &[include_bytes!("seeds/plugin.wasm"), include_bytes!("seeds/plugin.module.wasm")],
    },
];

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Limits under which a script that loops is over in a moment.
fn limits() -> Limits {
    Limits { operations: 20_000, column_bytes: 1 << 20, ..Limits::default() }
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(metrics::catalog)
}

/// Every problem can be shown, beside its line too.
fn show(problems: &[Problem], source: &str) {
    for problem in problems {
        assert!(!problem.to_string().is_empty() && !problem.render(source, true).is_empty());
    }
}

/// A config, which may also be a file of classic rules.
pub fn config(data: &[u8]) {
    let text = text(data);
    let loaded = config::check(Source::of_text("fuzz.yaml", &text), &Env::of([]));
    show(&loaded.problems, &text);
    assert!(loaded.config.is_some() || loaded.problems.iter().any(Problem::is_error), "no config and no reason");
}

fn load(path: &str, text: &str) -> Loaded {
    let file = RuleFile { path: path.into(), text: text.into(), pack: None };
    let loaded = rules::load(&[file], &[], catalog(), limits());
    show(&loaded.problems, text);
    loaded
}

/// A file of rules, classic or rich; classic ones are converted, and what comes of that is loaded.
pub fn rule_yaml(data: &[u8]) {
    let text = text(data);
    let before = load("fuzz.yaml", &text);
    if let Ok(rich) = rules::convert::to_rich("fuzz.yaml", &text, catalog()) {
        let after = load("rich.yaml", &rich);
        if !before.problems.iter().any(Problem::is_error) {
            assert_eq!(before.set.len(), after.set.len(), "a rule was lost by converting:\n{rich}");
        }
    }
}

/// A script with its header. Loading runs it over small frames, so its limits are tried as well.
pub fn rule_script(data: &[u8]) {
    load("fuzz.rhai", &text(data));
}

/// A test file of a rule that is there.
pub fn rule_test(data: &[u8]) {
    static SET: OnceLock<Loaded> = OnceLock::new();
    let rule = include_str!("../rules/vacuum/dead_tuples_past_trigger.rhai");
    let loaded = SET.get_or_init(|| load("rules/dead_tuples_past_trigger.rhai", rule));
    let text = text(data);
    let file = RuleFile { path: "fuzz.test.yaml".into(), text: text.clone(), pack: None };
    let report = rules::unit::run_tests(&loaded.set, &file, alert::decide);
    show(&report.problems, &text);
}

/// A connection string. Neither what it is called nor what is wrong with it shows the password.
pub fn dsn(data: &[u8]) {
    let text = text(data);
    let none = Surroundings::of([] as [(&str, &str); 0]);
    let said = match Endpoint::parse(&text, &EndpointDefaults::default(), &none) {
        Ok(endpoint) => format!("{} {endpoint:?}", endpoint.describe()),
        Err(error) => format!("{error} {error:?}"),
    };
    let ours = text.starts_with("postgresql://u:s3cr3t@") && text.matches("s3cr3t").count() == 1;
    assert!(!ours || !said.contains("s3cr3t"), "{said}");
}

/// Days or a cron expression, start, end, zone and a date, a line each. The times that are named are open, and end after they
/// begin.
pub fn window(data: &[u8]) {
    let text = text(data);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (first, start, end, zone, date) = (line(), line(), line(), calendar::parse_zone(line()), line());
    let weekly = || {
        let (days, (start, end, all_day)) = (calendar::parse_days(first).ok()?, calendar::parse_span(start, end).ok()?);
        Some(calendar::Form::Weekly(calendar::Weekly { days, start, end, all_day }))
    };
    let cron = || calendar::Cron::new(first, start.parse().ok()?).ok().map(calendar::Form::Cron);
    let (Some(form), Ok(zone)) = (weekly().or_else(cron), zone) else { return };
    let from = calendar::parse_moment(date, Some(zone), calendar::Edge::Start).unwrap_or(DateTime::UNIX_EPOCH);
    let window = calendar::Window::new(form, zone);
    let json = serde_json::to_string(&window).unwrap_or_default();
    assert!(serde_json::from_str::<calendar::Window>(&json).is_ok_and(|read| read == window), "{json}");
    for (from, to) in window.next(from, 4) {
        assert!(from < to, "{window:?}: {from} to {to}");
        assert!(window.contains(from).is_some(), "{window:?} is not open at {from}, where it says that it begins");
    }
}

/// Matchers in their text form, and labels to hold them against, a line each. What was read is written so that it reads back.
pub fn matchers(data: &[u8]) {
    let text = text(data);
    let (first, labels) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(matchers) = first.parse::<Matchers>() else { return };
    let labels = labels.lines().filter_map(|line| line.split_once('=')).collect();
    let again = matchers.to_string().parse::<Matchers>();
    assert_eq!(again.as_ref(), Ok(&matchers));
    assert_eq!(again.map(|again| again.matches(&labels)), Ok(matchers.matches(&labels)));
}

/// `--for`, `--until` and `--from` of a silence, a line each. One that is taken ends after it begins and does not last too long.
pub fn silence(data: &[u8]) {
    let text = text(data);
    let mut lines = text.lines();
    let (lasts, until, from) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let (until, from) = (shared::time(until).ok(), shared::time(from).ok());
    if let Ok((starts_at, ends_at)) = times(from, until, shared::seconds(lasts).ok(), now) {
        assert!(starts_at < ends_at && now < ends_at && (ends_at - starts_at).num_seconds() <= Silence::LONGEST_S);
    }
}

/// A title and a body that somebody words, and a text that a database holds, with empty lines between them. One receiver
/// after the other is shown no mark of theirs out of the database, and nothing that moves a terminal.
pub fn template(data: &[u8]) {
    let text = text(data);
    let mut parts = text.splitn(3, "\n\n");
    let (title, body, hostile) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let escapes = [Escape::Html, Escape::Slack, Escape::Markdown, Escape::Plain];
    let Some(escape) = escapes.get(data.len() % escapes.len()) else { return };
    let config = serde_json::json!({"templates": {"title": title, "body": body}}).to_string();
    let Ok(root) = yaml::parse("fuzz.yaml", &config) else { return };
    let Ok(mut fields) = Fields::open("fuzz.yaml", &root, "a channel") else { return };
    let templates = Templates::take(&mut fields, *escape);
    show(&fields.finish(), &config);
    let card = Card::of(&notice(hostile));
    if let Some(Ok(title)) = templates.title(&card) {
        assert!(safe(&title) == title && title.lines().count() <= 1, "{title:?}");
    }
    if let Some(Ok(shown)) = templates.body(&card) {
        shown.lines().for_each(|line| assert_eq!(safe(line), line));
        let mark = match escape {
            Escape::Html | Escape::Slack => '<',
            Escape::Markdown => '@',
            Escape::Plain => return,
        };
        // What the user writes, their receiver may obey.
        assert!(body.contains(mark) || !obeyed(&shown, mark), "{escape:?}: {shown}");
    }
}

/// Whether a mark stands there without the backslash that takes its meaning away.
fn obeyed(shown: &str, mark: char) -> bool {
    shown.match_indices(mark).any(|(at, _)| !shown.get(..at).is_some_and(|before| mark == '@' && before.ends_with('\\')))
}

/// A notice that says nothing but that.
fn notice(hostile: &str) -> Notice {
    let hostile = hostile.to_string();
    let labels: Labels = [("table", hostile.as_str()), ("team", hostile.as_str())].into_iter().collect();
    Notice {
        target: hostile.clone(),
        subject: labels.clone(),
        labels,
        summary: hostile.clone(),
        detail: hostile.clone(),
        runbook: hostile.clone(),
        evidence: vec![Evidence { metric: hostile, value: Some(1e6), threshold: None, unit: Unit::Rows }],
        ..Notice::default()
    }
}

/// A sample file through every shipped rule, as `check --snapshot` does it.
pub fn sample(data: &[u8]) {
    static RULES: OnceLock<setup::Rules> = OnceLock::new();
    let rules = RULES.get_or_init(|| setup::load_rules(&[], pgsteward::app::plugins::Plugins::default()));
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("sample.json");
    if std::fs::write(&path, data).is_err() {
        return;
    }
    let Ok(sample) = Sample::read(&path) else { return };
    let Ok(watch) = setup::watch_of_dsn("host=localhost user=fuzz") else { return };
    let (basis, earlier) = oneshot::basis_of(sample);
    let (outcomes, decision) = turn::turn(&basis, &rules.set, &watch.wishes, &watch.decide);
    let grants = BTreeMap::new();
    let report = pgsteward::app::report::Report { snapshot: basis.snapshot, outcomes, decision, earlier, unusable: Vec::new(), grants };
    assert!(report.exit_code() <= 3);
}

/// A quantity; one that is understood is a number.
pub fn quantity(data: &[u8]) {
    if let Ok(quantity) = pgsteward_helpers::parse_quantity(&text(data)) {
        assert!(!quantity.value.is_nan());
    }
}

/// The file of a plugin, component or core module, up to where it would be compiled. What is packed into it comes out again.
pub fn plugin_file(data: &[u8]) {
    if let Ok(component) = pgsteward_sandbox::componentize(data) {
        assert!(pgsteward_sandbox::inspect(&component).is_ok_and(|found| found.contract().is_ok()));
    }
    if let Ok(found) = pgsteward_sandbox::inspect(data) {
        let contract = found.contract();
        assert!(contract.is_ok() || contract.is_err_and(|refused| !refused.to_string().contains('\n')));
    }
    // A file whose own sections cannot be walked to the end takes nothing in behind them.
    let (Ok(bare), Ok(_)) = (pgsteward_sandbox::without_sections(data), pgsteward_sandbox::inspect(data)) else { return };
    let files = [("a.test.yaml".to_string(), data.to_vec())];
    let packed = pgsteward_sandbox::with_sections(data, &files);
    assert_eq!(packed.as_deref().map(pgsteward_sandbox::sections), Ok(Ok(files.to_vec())));
    assert_eq!(packed.as_deref().map(pgsteward_sandbox::without_sections), Ok(Ok(bare)));
}
