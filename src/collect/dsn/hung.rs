//! At most one login of ours that nobody waits for any more. A backend that waits for a lock while it starts does not notice
//! that its client has gone; one more at each tick would be the pile-up that a monitor must not cause.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

/// A login that was given up on; shared by all copies of an endpoint.
#[derive(Clone, Default)]
pub(in crate::collect) struct Hung(Arc<Mutex<Option<JoinHandle<()>>>>);

impl Hung {
    /// Keeps a login until it ends by itself; its session is closed then.
    pub(in crate::collect) fn keep<T: Send + 'static>(&self, login: JoinHandle<T>) {
        let ends = tokio::spawn(async move { drop(login.await) });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ends);
    }

    /// Whether one still waits.
    pub(in crate::collect) fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|login| !login.is_finished())
    }
}

impl fmt::Debug for Hung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hung({})", self.is_there())
    }
}
