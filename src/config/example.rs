//! The example that `config example` prints: short, commented, and passing its own check.

/// The text of the example.
pub const EXAMPLE: &str = include_str!("example.yaml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Budget, Config, DEDUP_S, History, Source, check};
    use crate::env::Env;

    fn config(text: &str) -> Config {
        let loaded = check(Source::of_text("example.yaml", text), &Env::of([]));
        assert_eq!(loaded.problems, []);
        loaded.config.unwrap()
    }

    #[test]
    fn it_passes_its_own_check_and_shows_the_defaults() {
        let example = config(EXAMPLE);
        let least = config("targets: [{name: a, dsn: ''}]");
        assert_eq!(example.targets[0].budget, Budget::default());
        assert_eq!(example.history, History::default());
        assert_eq!((example.dedup_s, example.unknown_after_s), (Some(DEDUP_S), 600));
        assert_eq!(
            (
                &example.rules,
                format!("{:?}", example.channels),
                &example.route,
                example.dedup_s,
                example.unknown_after_s,
                example.actions_mode
            ),
            (&least.rules, format!("{:?}", least.channels), &least.route, least.dedup_s, least.unknown_after_s, least.actions_mode)
        );
        assert_eq!(example.schedule.spread, least.schedule.spread);
    }

    #[test]
    fn what_it_shows_in_comments_is_legal_too() {
        let is_yaml = |text: &str| text.split_whitespace().next().is_some_and(|word| word == "-" || word.ends_with(':'));
        let open = |line: &str| match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() && is_yaml(rest) => format!("{indent}{rest}"),
            _ => line.to_string(),
        };
        let text: Vec<String> = EXAMPLE.lines().map(open).filter(|line| !line.starts_with("include")).collect();
        let loaded = check(Source::of_text("example.yaml", &text.join("\n")), &Env::of([]));
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "example.yaml:9:13: warning: there is no file `/run/credentials/pgsteward/pg`; make it, or see that the service can read it",
                "example.yaml:28:22: warning: no target has `tier: dev`; known here: prod",
            ]
        );
        let config = loaded.config.unwrap();
        let parts =
            [config.windows.len(), config.silences.len(), config.escalations.len(), config.inhibitions.len(), config.route.routes.len()];
        assert_eq!(parts, [3, 1, 1, 1, 2]);
        assert!(config.heartbeat.is_some() && config.channels.len() == 2);
    }
}
