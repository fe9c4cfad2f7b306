//! `statement_texts`: the texts of the hundred statements that took most time. Apart from `statements` and rare, because
//! asking for one text makes the extension read its whole file (seen: 70 times the cost, and temporary files).
//!
//! Texts are normalised by the extension ($1 for literals), save for utility statements of old versions. Cut to 2,000
//! characters here.

use super::build::{OLDEST, PG_MONITOR, by_version, extension, frame, instance, label, statement};
use crate::model::{CostClass, Metric};

/// Rows that one reading brings at most.
const TOP: u64 = 100;

const SQL: &str = "
SELECT s.queryid::text AS queryid,
       COALESCE(d.datname::text, s.dbid::text) AS database,
       COALESCE(r.rolname::text, s.userid::text) AS role,
       pg_catalog.left(s.query, 2000) AS query
  FROM (SELECT DISTINCT ON (p.queryid, p.dbid, p.userid) p.*
          FROM (SELECT x.queryid,
                       x.dbid,
                       x.userid,
                       x.query,
                       x.total_exec_time
                  FROM {extension_schema}.pg_stat_statements(true) AS x
                 WHERE x.queryid IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
                 ORDER BY x.total_exec_time DESC
                 LIMIT 100) AS p
         ORDER BY p.queryid, p.dbid, p.userid, p.total_exec_time DESC) AS s
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("queryid", "Identifier of the statement, as in `statements`."),
        label("database", "Database it ran in; its oid when that is dropped."),
        label("role", "Role that ran it; its oid when that is dropped."),
        statement("query", "Text of the statement, first 2,000 characters."),
    ];
    let frame = frame(
        "statement_texts",
        "One row per statement: the text of the 100 that took most time.",
        &["queryid", "database", "role"],
        columns,
    );
    Metric {
        every_s: 3_600,
        top: Some(TOP),
        cost: CostClass::Heavy,
        needs: extension("pg_stat_statements", "1.8"),
        grant: PG_MONITOR.into(),
        ..instance(frame, by_version(OLDEST, SQL))
    }
}
