//! One metric on its way to one frame: rows come from one or many databases, some of them may refuse.
//!
//! A frame that some databases yielded is Collected, and its coverage names the others. Only when none did is it Missing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::row::{Columns, MAX_FRAME_ROWS, Source, sources};
use super::session::Enough;
use crate::model::{Coverage, Frame, FrameDef, Metric, Missing, MissingReason, Reading, Scope};

/// A metric that is being read.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub metric: &'a Metric,
    def: Arc<FrameDef>,
    columns: Columns,
    coverage: Coverage,
    as_of: Option<DateTime<Utc>>,
    refusal: Option<Missing>,
}

/// The rows of one answer on their way into a job.
pub(super) struct Answer<'j, 'a> {
    job: &'j mut Job<'a>,
    database: Option<&'j str>,
    sources: Option<Vec<Source>>,
    rows_before: usize,
    capped: bool,
}

impl<'a> Job<'a> {
    /// A job without rows; `last` lends its description, which is then shared in memory.
    pub fn new(metric: &'a Metric, last: Option<&Arc<Frame>>) -> Self {
        let def = last.filter(|f| *f.def == metric.frame).map_or_else(|| Arc::new(metric.frame.clone()), |f| f.def.clone());
        Self { metric, columns: Columns::new(&def), def, coverage: Coverage::default(), as_of: None, refusal: None }
    }

    /// Whether some rows, or the knowledge that there are none, have come.
    pub fn is_answered(&self) -> bool {
        self.as_of.is_some()
    }

    /// Opens the way for the rows of one answer; `database` is given when the frame gathers from many.
    pub fn answer<'j>(&'j mut self, database: Option<&'j str>) -> Answer<'j, 'a> {
        let rows_before = self.columns.rows();
        Answer { job: self, database, sources: None, rows_before, capped: false }
    }

    /// It did not come from this database, or, without one, not at all.
    pub fn refuse(&mut self, database: Option<&str>, missing: Missing) {
        if let Some(name) = database {
            self.coverage.without_databases.insert(name.to_string(), missing.detail.clone());
        }
        let detail = database.map_or(missing.detail.clone(), |name| format!("{}: {}", super::clean(name), missing.detail));
        // What went wrong where the extension is says more than that it is not everywhere.
        if self.refusal.as_ref().is_none_or(|first| first.reason == MissingReason::NoExtension && missing.reason != first.reason) {
            self.refusal = Some(Missing { detail, ..missing });
        }
    }

    /// The finished frame, or why there is none.
    pub fn finish(self, epoch: &str) -> Reading {
        let Some(as_of) = self.as_of else {
            let none = || Missing::new(MissingReason::NotCollected, "there is no database to read it from");
            return Reading::Missing(self.refusal.unwrap_or_else(none));
        };
        match Frame::new(self.def, as_of, self.columns.finish()) {
            Ok(frame) => {
                let coverage = if self.metric.scope == Scope::Instance {
                    Coverage { top: self.coverage.top, ..Coverage::default() }
                } else {
                    self.coverage
                };
                Reading::Collected(Arc::new(Frame { epoch: Some(epoch.to_string()), coverage, ..frame }))
            }
            Err(why) => Reading::Missing(Missing::new(MissingReason::ServerError, why)),
        }
    }
}

impl Answer<'_, '_> {
    /// Takes one row.
    pub fn take(&mut self, row: &Row) -> Result<Enough, String> {
        if self.job.columns.rows() >= MAX_FRAME_ROWS {
            self.capped = true;
            return Ok(Enough::Yes);
        }
        let found = match self.sources.take() {
            Some(found) => found,
            None => sources(&self.job.def, row.columns(), self.database.is_some())?,
        };
        self.job.columns.push(row, &found, self.database)?;
        self.sources = Some(found);
        Ok(Enough::No)
    }

    /// The answer is complete.
    pub fn done(self, asked_at: DateTime<Utc>) {
        let rows = (self.job.columns.rows() - self.rows_before) as u64;
        let top = self.job.metric.top.filter(|top| rows >= *top).or(self.capped.then_some(MAX_FRAME_ROWS as u64));
        self.job.coverage.top = self.job.coverage.top.or(top);
        self.job.as_of.get_or_insert(asked_at);
    }

    /// The answer broke off: its rows are taken back, since half a table looks like a whole one.
    pub fn broke_off(self, missing: Missing) {
        self.job.columns.truncate(self.rows_before);
        self.job.refuse(self.database, missing);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::metric;
    use super::*;
    use crate::model::CostClass;

    fn missing(detail: &str) -> Missing {
        Missing::new(MissingReason::LockTimeout, detail)
    }

    #[test]
    fn one_database_that_answers_makes_a_frame_that_names_the_others() {
        let mut tables = metric("tables", CostClass::Moderate, 300);
        tables.scope = Scope::EachDatabase;
        let mut job = Job::new(&tables, None);
        job.refuse(Some("hr"), missing("locked"));
        job.answer(Some("shop")).done(DateTime::UNIX_EPOCH);
        let Reading::Collected(frame) = job.finish("epoch") else { panic!("collected") };
        assert_eq!(frame.coverage.without_databases["hr"], "locked");
        assert_eq!((frame.rows, frame.epoch.as_deref()), (0, Some("epoch")));
    }

    #[test]
    fn none_that_answers_makes_it_missing_with_the_first_reason() {
        let tables = metric("tables", CostClass::Moderate, 300);
        let mut job = Job::new(&tables, None);
        job.answer(Some("hr")).broke_off(missing("locked"));
        job.refuse(Some("shop"), missing("other"));
        assert_eq!(job.finish("e"), Reading::Missing(missing("hr: locked")));
        assert_eq!(
            Job::new(&tables, None).finish("e"),
            Reading::Missing(Missing::new(MissingReason::NotCollected, "there is no database to read it from"))
        );
    }
}
