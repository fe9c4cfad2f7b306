//! The only place where wall time is read. Everything that decides takes `now` as a parameter.

use chrono::{DateTime, Utc};

/// Where a program takes its time from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A fixed start that moves with tokio's own time, so that tests under a paused runtime skip hours in no time.
    Virtual {
        /// Wall time at the start.
        start: DateTime<Utc>,
        /// tokio's time at the start.
        since: tokio::time::Instant,
    },
}

impl Clock {
    /// A virtual clock that reads `start` now.
    #[must_use]
    pub fn starting_at(start: DateTime<Utc>) -> Self {
        Self::Virtual { start, since: tokio::time::Instant::now() }
    }

    /// The time now, cut to milliseconds, which is what files and stores keep.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        use chrono::SubsecRound;
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads wall time")]
            Self::System => DateTime::<Utc>::from(std::time::SystemTime::now()),
            Self::Virtual { start, since } => *start + since.elapsed(),
        };
        now.trunc_subsecs(3)
    }
}
