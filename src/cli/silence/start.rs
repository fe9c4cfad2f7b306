//! `silence start`: begins one, after showing what it keeps back.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, Utc};

use super::preview;
use crate::app::report::exit;
use crate::app::silence;
use crate::cli::place::Place;
use crate::cli::shared::{author, clock, end, matchers, seconds, time};
use crate::cli::term;
use crate::clock::Clock;
use crate::model::Silence;
use crate::text::safe;

/// Begin a silence
///
/// Prints its id on standard output, for scripts; what it matches now and matched in the last 7 days goes to standard error.
/// In a pipeline: `id=$(pgsteward silence start target=orders-1 --for 30m --reason deploy)`. Asks before it begins only on a
/// terminal. A silence of everything must be meant: `--all` instead of MATCHERS. Exit code 0 when it began, 1 when the
/// answer was no, 3 when it cannot. With `--config` it may come before the first `run`, whose store it then makes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which alerts
    #[arg(value_name = "MATCHERS", conflicts_with = "all")]
    matchers: Vec<String>,
    /// All alerts of all targets
    #[arg(long)]
    all: bool,
    /// How long, from its start: `30m`, `2h`; at most 30d
    #[arg(long = "for", value_name = "SPAN", value_parser = seconds, required_unless_present = "until", conflicts_with = "until")]
    lasts: Option<u64>,
    /// Until when (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<DateTime<Utc>>,
    /// From when, if not now
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<DateTime<Utc>>,
    /// Why, for those who wonder
    #[arg(long)]
    reason: String,
    /// Who; default: $USER@host
    #[arg(long)]
    author: Option<String>,
    /// A ticket or page about it
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// It ends before its time once the last alert that it keeps back is over
    #[arg(long)]
    expire_on_resolve: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let who = args.author.clone().unwrap_or_else(|| author(&place.env));
    let silence = silence_of(args, who, now)?;
    let mut store = place.made_store()?;
    let taken = silence::preview(&store, &silence.matchers, now)?;
    let whole = if silence.matchers.is_empty() { "everything".into() } else { safe(&silence.matchers.to_string()) };
    term::err(&format!("Silence of {whole} until {}, by {}\n", clock(silence.ends_at, now), safe(&silence.author)));
    term::err(&preview::page(&taken, now));
    if !args.yes && std::io::stdin().is_terminal() && !agreed()? {
        term::err("not begun\n");
        return Ok(ExitCode::from(exit::WARNING));
    }
    let id = store.add_silence(&silence)?;
    term::out(&format!("{id}\n"));
    Ok(ExitCode::SUCCESS)
}

/// The silence that is asked for.
fn silence_of(args: &Args, author: String, now: DateTime<Utc>) -> anyhow::Result<Silence> {
    let matchers = matchers(&args.matchers)?;
    if matchers.is_empty() && !args.all {
        bail!("without a condition it would silence everything; say `--all` when that is meant");
    }
    if args.reason.trim().is_empty() {
        bail!("a silence needs a reason");
    }
    let (starts_at, ends_at) = silence::times(args.from, args.until, args.lasts, now).map_err(anyhow::Error::msg)?;
    Ok(Silence {
        id: String::new(),
        matchers,
        starts_at,
        ends_at,
        author,
        reason: args.reason.clone(),
        link: args.link.clone(),
        expire_on_resolve: args.expire_on_resolve,
        created_at: now,
        ended: None,
    })
}

fn agreed() -> anyhow::Result<bool> {
    term::err("Begin it? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
