//! `notify send`: a sample alert of a rule along its real route.

use std::process::ExitCode;

use anyhow::{Context, bail};

use super::trial;
use crate::app::{drill, setup};
use crate::cli::place::{Place, unknown};
use crate::cli::shared::{installed_plugins, load_rules};
use crate::cli::term;
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{Catalog, Decision, Notice, RuleMeta, Severity, Target};
use crate::rules::RuleSet;
use crate::text::safe;

/// Send a sample alert of a rule along its real route, marked as a drill
///
/// Routes, groups and severity filters hold; silences, windows and inhibitions are passed by. Says which channels are not told
/// and why. Exit codes and `--json` as for `notify test`; 3 when no channel would be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id or title of the rule
    #[arg(value_name = "RULE")]
    rule: String,
    /// As if it were about this target; default: the first of the config
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// As bad as that: info, warning, critical; default: what the rule's tier says
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Only this one of its channels
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// For a script
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let config = place.config()?;
    let rules = load_rules(&config.rules.files, installed_plugins(place.config.as_ref(), &place.env)?);
    let meta = rule(&rules.set, &args.rule)?;
    let target = target(args.target.as_deref(), config)?;
    let (_, decide) = setup::wants(Some(config), &target);
    let key = meta.from.as_deref().and_then(|name| rules.set.catalog().frame(name)).map(|def| def.key.clone()).unwrap_or_default();
    let severity = args.severity.unwrap_or_else(|| meta.default_severity());
    let sample = drill::sample(meta, &drill::sample_subject(&key), severity, &decide, Clock::System.now());
    term::err(&untold(&sample));
    let mut notices: Vec<Notice> = sample.notices().collect();
    if let Some(only) = &args.channel {
        notices.retain(|notice| notice.channel == *only);
    }
    if notices.is_empty() {
        let whom = args.channel.as_ref().map_or("no channel".into(), |only| format!("channel `{}`", safe(only)));
        if let Some(only) = args.channel.as_deref().filter(|only| !config.channels.contains_key(*only)) {
            return Err(unknown("channel", only, "the config", config.channels.keys()));
        }
        bail!("a {severity} alert of `{}` on `{}` does not lead to {whom}", meta.id, safe(&target.name));
    }
    trial::show(&trial::all(notices, place)?, args.json)
}

fn rule<'a>(rules: &'a RuleSet, name: &str) -> anyhow::Result<&'a RuleMeta> {
    let mut metas = rules.iter().map(|rule| rule.meta());
    let named = metas.find(|meta| meta.id == name || meta.title.eq_ignore_ascii_case(name));
    named.with_context(|| {
        let near = Catalog::nearest(rules.iter().map(|rule| rule.meta().id.as_str()), name);
        format!("there is no rule `{}`{}", safe(name), near.map_or(String::new(), |near| format!("; did you mean `{near}`?")))
    })
}

fn target(name: Option<&str>, config: &Config) -> anyhow::Result<Target> {
    let mut targets = config.targets.iter().map(|target| &target.target);
    let found = match name {
        Some(name) => targets.find(|target| target.name == name),
        None => targets.next(),
    };
    found.cloned().ok_or_else(|| match name {
        Some(name) => unknown("target", name, "the config", config.targets.iter().map(|target| &target.target.name)),
        None => anyhow::anyhow!("the config names no target"),
    })
}

/// Which channels are not told, and why.
fn untold(sample: &Decision) -> String {
    let line = |record: &crate::model::DecisionRecord| {
        let whom = record.channel.as_deref().map_or("nobody is told".into(), |channel| format!("{} is not told", safe(channel)));
        format!("{whom}: {}\n", safe(&record.reason.to_string()))
    };
    sample.records.iter().filter(|record| !record.sent).map(line).collect()
}
