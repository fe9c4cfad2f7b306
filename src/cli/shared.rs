//! What several subcommands need: the config argument, the target argument, times, a runtime, problems on screen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::term;
use crate::app::house::Watch;
use crate::app::plugins::{self, Plugins};
use crate::app::setup::{self, Rules};
use crate::calendar::{Edge, parse_moment};
use crate::config::{self, Config};
use crate::env::Env;
use crate::model::{Evidence, Matchers};
use crate::plugin::Compiler;
use crate::problem::{Level, Problem};
use crate::text::safe;

/// An error with its causes, for a person.
pub fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `1 rule`, `2 rules`.
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A span on the command line, in seconds: `30m`, `2h`, `7d`.
pub fn seconds(text: &str) -> Result<u64, String> {
    use pgsteward_helpers::{Dimension, parse_quantity};
    match parse_quantity(text) {
        Ok(q) if q.dimension == Dimension::Seconds && (1.0..=4e9).contains(&q.value) => Ok(q.value as u64),
        Ok(_) => Err("a span with its unit, such as `30m`, `2h` or `7d`".into()),
        Err(reason) => Err(reason.to_string()),
    }
}

/// A time on the command line, UTC unless it says otherwise; a day stands for its begin.
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, Edge::Start)
}

/// The time at which something ends; a day alone is refused, since some mean its begin and some its end.
pub fn end(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, Edge::End)
}

fn moment(text: &str, edge: Edge) -> Result<DateTime<Utc>, String> {
    let read = |text| parse_moment(text, Some(Tz::UTC), edge);
    read(text).or_else(|reason| read(text.trim_end_matches('Z')).map_err(|_| reason))
}

/// Who sits here: `$USER@host`.
pub fn author(env: &Env) -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| env.get(name)).unwrap_or_else(|| "somebody".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { user } else { format!("{user}@{}", host.trim()) }
}

/// Conditions given as several words: `tier=prod 'severity>=warning'`, or one list of them.
pub fn matchers(texts: &[String]) -> anyhow::Result<Matchers> {
    let read = |text: &String| text.parse::<Matchers>().map_err(|problem| anyhow::anyhow!("`{}` cannot be read: {problem}", safe(text)));
    let lists: Vec<Matchers> = texts.iter().map(read).collect::<anyhow::Result<_>>()?;
    Ok(Matchers(lists.into_iter().flat_map(|Matchers(list)| list).collect()))
}

/// A time as pages show it: the hour alone on the same day, else with its date.
pub fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let form = if at.date_naive() == now.date_naive() { "%TZ" } else { "%F %TZ" };
    at.format(form).to_string()
}

/// Facts beside their limits, a line each.
pub fn evidence(facts: &[Evidence]) -> String {
    let line = |fact: &Evidence| {
        let value = fact.value.map_or("unknown".to_string(), |v| fact.unit.show(v));
        let limit = fact.threshold.map_or(String::new(), |t| format!("   limit {}", fact.unit.show(t)));
        format!("   {:<28} {value:>14}{limit}\n", crate::text::safe(&fact.metric))
    };
    facts.iter().map(line).collect()
}

/// Runs a future to its end on this thread: one-shot commands have no use for more.
pub fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot start")?;
    Ok(runtime.block_on(future))
}

/// Reads a config; errors are shown and end the command. `told` says what is shown besides: warnings are for those who
/// look after the config, not for everybody who asks something.
pub fn load_config(path: &Path, env: &Env, told: Level) -> anyhow::Result<Config> {
    let loaded = config::load(path, env);
    show_problems(loaded.problems.iter().filter(|p| p.level <= told), &loaded.sources);
    loaded.config.with_context(|| format!("`{}` cannot be used; `pgsteward config check` says more", path.display()))
}

/// Problems beside the lines they are about.
pub fn show_problems<'a>(problems: impl Iterator<Item = &'a Problem>, sources: &BTreeMap<String, String>) {
    for problem in problems {
        let source = sources.get(&problem.file).map_or("", String::as_str);
        term::err(&format!("{}\n\n", problem.render(source, true)));
    }
}

/// The installed plugins of a state folder.
pub fn installed_plugins(config: Option<&Config>, env: &Env) -> anyhow::Result<Plugins> {
    let Ok(dir) = config::state_dir(config, env) else { return Ok(Plugins::default()) };
    let said = config.map(|config| config.plugins.clone()).unwrap_or_default();
    Ok(plugins::installed(&dir, &said, &Compiler::child()?))
}

/// Loads shipped and own rules, and those of plugins; problems are shown, and the rules that can be used are used.
pub fn load_rules(own: &[PathBuf], plugins: Plugins) -> Rules {
    let rules = setup::load_rules(own, plugins);
    show_problems(rules.problems.iter().filter(|p| p.level <= Level::Warning), &sources(&rules));
    rules
}

/// The texts of rule files by path.
pub fn sources(rules: &Rules) -> BTreeMap<String, String> {
    rules.files.iter().map(|f| (f.path.clone(), f.text.clone())).collect()
}

/// Which target a command is about.
#[derive(Debug, clap::Args)]
pub struct TargetArgs {
    /// A DSN (URL or keywords), or the name of a configured target; default: the PG* variables
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Config that names targets and rules
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A rule file of your own, beside the shipped ones; can be given several times
    #[arg(long = "rules", value_name = "FILE")]
    pub rules: Vec<PathBuf>,
}

/// A target with what watches it.
pub struct Chosen {
    /// The target.
    pub watch: Watch,
    /// Rules and metrics.
    pub rules: Rules,
    /// The config, if one was given.
    pub config: Option<Config>,
}

impl TargetArgs {
    /// Finds the target and loads the rules; problems of the config are shown down to that level.
    pub fn choose(&self, env: &Env, told: Level) -> anyhow::Result<Chosen> {
        let config = self.config.as_deref().map(|path| load_config(path, env, told)).transpose()?;
        let mut own = self.rules.clone();
        own.extend(config.iter().flat_map(|c| c.rules.files.iter().cloned()));
        let mut rules = load_rules(&own, installed_plugins(config.as_ref(), env)?);
        if let Some(config) = &config {
            setup::apply_cadence(&mut rules.metrics, &config.schedule.collect);
        }
        let watch = match &config {
            Some(config) => self.configured(config, env)?,
            None => setup::watch_of_dsn(self.target.as_deref().unwrap_or_default())?,
        };
        Ok(Chosen { watch, rules, config })
    }

    fn configured(&self, config: &Config, env: &Env) -> anyhow::Result<Watch> {
        let names = || config.targets.iter().map(|t| t.target.name.as_str()).collect::<Vec<_>>().join(", ");
        let target = match &self.target {
            Some(name) => config.targets.iter().find(|t| t.target.name == *name),
            None if config.targets.len() == 1 => config.targets.first(),
            None => bail!("which target? The config names {}", names()),
        };
        let target = target.with_context(|| format!("the config names no such target; it names {}", names()))?;
        block_on(setup::watch_of_config(target, config, env))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let six = "2026-11-24T18:00:00Z".parse().unwrap();
        for text in ["2026-11-24 18:00", "2026-11-24T18:00:00Z", "2026-11-24T18:00Z", "2026-11-24T19:00:00+01:00"] {
            assert_eq!(time(text), Ok(six), "{text}");
        }
        for text in ["", "18:00", "tomorrow", "2026-13-01 00:00"] {
            assert!(time(text).is_err() && end(text).is_err(), "{text}");
        }
        assert_eq!(end("2026-11-24 18:00"), Ok(six));
    }

    #[test]
    fn a_day_begins_at_its_midnight_and_ends_nobody_knows_when() {
        assert_eq!(time("2026-12-24"), Ok("2026-12-24T00:00:00Z".parse().unwrap()));
        assert_eq!(end("2026-12-24").unwrap_err(), "`2026-12-24` says no time of day; write `2026-12-24 00:00` or another time");
        assert_eq!(end("soon").unwrap_err(), "`soon` is not a moment; write `2026-11-29T22:00:00Z`, or `2026-11-29 22:00` (UTC)");
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!([seconds("30m"), seconds("7d")], [Ok(1_800), Ok(604_800)]);
        for text in ["30", "0s", "-1h", "5MB", "1e99d", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
