//! Sessions that rest between two sweeps of one target, so that the next one finds the server's catalogue caches warm.
//!
//! A sweep takes a session from here or opens one, and puts it to rest when it is done; the caller owns them and closes
//! them. With many tables the first look of a new session costs the server tens of milliseconds for filling its caches.
//! What rests holds no transaction and no snapshot. It is given up when it is old, so that a name that now leads to
//! another server is followed, or when its memory has grown: caches of a backend never shrink.

use std::time::Duration;

use tokio::time::timeout;

use super::Budget;
use super::capability::Capabilities;
use super::cost::Meter;
use super::session::Session;

/// How long a session serves.
const OLDEST: Duration = Duration::from_secs(1800);

/// Bytes in memory contexts with which a backend is let go. The caches for 10,000 tables and 20,000 indexes stay far below;
/// a question of somebody's own may fill more.
const LARGEST: f64 = 32.0 * 1024.0 * 1024.0;

/// What a backend holds, by its own account: since 14 for superusers, since 15 for `pg_monitor`.
const MEMORY: &str = "SELECT sum(total_bytes)::float8 AS bytes FROM pg_backend_memory_contexts";

/// The sessions of one target that rest.
#[derive(Default)]
pub struct Kept(Vec<Session>);

impl Kept {
    /// The session of a database when it answers within the time that a login may take: a connection that some firewall has
    /// forgotten is silent. What has died or served for long is closed on the way.
    pub(super) async fn take(&mut self, database: &str, budget: &Budget, meter: &mut Meter) -> Option<Session> {
        let (usable, spent) = std::mem::take(&mut self.0).into_iter().partition(is_fresh);
        self.0 = usable;
        close_all(spent).await;
        let at = self.0.iter().position(|session| session.database == database)?;
        let session = self.0.remove(at);
        let patience = Duration::from_millis(budget.connect_timeout_ms.max(1));
        match timeout(patience, session.ask_all(meter, "SELECT 1")).await {
            Ok(Ok(_)) => Some(session),
            _ => {
                session.close().await;
                None
            }
        }
    }

    /// Puts a session to rest, or closes one that must not be used again.
    pub(super) async fn rest(&mut self, session: Session, found: &Capabilities, meter: &mut Meter) {
        if session.is_lost() || is_large(&session, found, meter).await {
            session.close().await;
        } else {
            self.0.push(session);
        }
    }

    /// How many rest.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Closes what is more than `at_most`, those first that came to rest first.
    pub(super) async fn make_room(&mut self, at_most: usize) {
        let surplus = self.0.len().saturating_sub(at_most);
        close_all(self.0.drain(..surplus).collect()).await;
    }

    /// Says goodbye to all.
    pub async fn close(self) {
        close_all(self.0).await;
    }
}

async fn close_all(sessions: Vec<Session>) {
    for session in sessions {
        session.close().await;
    }
}

fn is_fresh(session: &Session) -> bool {
    !session.is_lost() && session.opened.elapsed() < OLDEST
}

/// Whether a backend has grown so much that its memory is worth more than its caches. One that cannot tell is bounded by
/// its age alone.
async fn is_large(session: &Session, found: &Capabilities, meter: &mut Meter) -> bool {
    if !found.tells_memory() {
        return false;
    }
    let asked = session.ask_all(meter, MEMORY).await.ok();
    let bytes = asked.and_then(|rows| rows.first()?.try_get::<_, Option<f64>>("bytes").ok().flatten());
    // No answer where there should be one: better a new session.
    bytes.is_none_or(|bytes| bytes > LARGEST)
}
