//! `budget`: what watching may cost a server. The bounds keep a typing error from hurting the server it was meant to spare.

use super::checked::Budget;
use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::Node;

/// The limits that were written; the others come from `defaults` or from the program.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    server_cpu_pct: Option<f64>,
    connections: Option<u32>,
    statement_timeout_ms: Option<u64>,
    lock_timeout_ms: Option<u64>,
}

impl Limits {
    pub fn or(self, base: Self) -> Self {
        Self {
            server_cpu_pct: self.server_cpu_pct.or(base.server_cpu_pct),
            connections: self.connections.or(base.connections),
            statement_timeout_ms: self.statement_timeout_ms.or(base.statement_timeout_ms),
            lock_timeout_ms: self.lock_timeout_ms.or(base.lock_timeout_ms),
        }
    }

    pub fn over(self, base: Budget) -> Budget {
        Budget {
            server_cpu_pct: self.server_cpu_pct.unwrap_or(base.server_cpu_pct),
            connections: self.connections.unwrap_or(base.connections),
            statement_timeout_ms: self.statement_timeout_ms.unwrap_or(base.statement_timeout_ms),
            lock_timeout_ms: self.lock_timeout_ms.unwrap_or(base.lock_timeout_ms),
        }
    }
}

/// Reads `budget`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> Limits {
    let Some(mut fields) = desk.open(file, node, "`budget`") else { return Limits::default() };
    let limits = Limits {
        server_cpu_pct: fields
            .node("server_cpu")
            .and_then(|node| desk.number(file, "server_cpu", node, 0.01..=100.0, "a share of one CPU such as `0.5%`")),
        connections: fields.node("connections").and_then(|node| desk.whole(file, "connections", node, 1..=10)),
        statement_timeout_ms: fields.node("statement_timeout").and_then(|node| desk.millis(file, "statement_timeout", node, 100..=60_000)),
        lock_timeout_ms: fields.node("lock_timeout").and_then(|node| desk.millis(file, "lock_timeout", node, 50..=500)),
    };
    desk.finish(fields);
    limits
}
