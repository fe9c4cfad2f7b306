//! The shipped metrics, one file each: what the frame is, its columns with kind and unit, and the SQL by version.
//!
//! Adding one is a file and its line in `all`; docs, listings, `doctor` and every rule engine follow from that. `target` and
//! `disk` are made by the engine, not by SQL: they are in the catalogue and not among the metrics.
//!
//! What all SQL here keeps to: it waits for nobody (no size functions over relations, no locks on users' relations), names
//! every function by its schema, lets the server compute ages, and returns unknown where it cannot tell. Run on real servers of
//! 13 to 18; 19 gets the texts of 18, with its new columns found by name where they are there, and has not been run.

mod archiver;
mod blocking;
mod build;
mod checkpointer;
mod connections;
mod databases;
pub mod disk;
mod extensions;
mod freeze;
mod indexes;
mod instance;
mod io;
mod progress;
mod replication;
mod sequences;
mod sessions;
mod settings;
mod sizes;
mod slots;
mod standby;
mod statement_texts;
mod statements;
mod statements_info;
mod tables;
pub mod target;
mod temp;
mod wal;
mod xmin_holders;

use crate::model::{Catalog, Metric};

/// All shipped metrics, in the order in which a sweep runs them: what tells of trouble first, what is heavy last.
#[must_use]
pub fn all() -> Vec<Metric> {
    vec![
        instance::metric(),
        connections::metric(),
        sessions::metric(),
        blocking::metric(),
        xmin_holders::metric(),
        databases::metric(),
        replication::metric(),
        standby::metric(),
        slots::metric(),
        archiver::metric(),
        checkpointer::metric(),
        wal::metric(),
        io::metric(),
        freeze::metric(),
        progress::metric(),
        temp::metric(),
        settings::metric(),
        statements_info::metric(),
        statements::metric(),
        tables::metric(),
        indexes::metric(),
        sequences::metric(),
        extensions::metric(),
        sizes::metric(),
        statement_texts::metric(),
    ]
}

/// Every frame that rules can read: the metrics' and the two that the engine makes.
#[must_use]
pub fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let metrics = all().into_iter().map(|metric| metric.frame);
    for frame in [target::frame(), disk::frame()].into_iter().chain(metrics) {
        // A name that is there already would be a mistake in this list; the test below keeps them apart.
        let _twice = catalog.add(frame);
    }
    catalog
}

#[cfg(test)]
mod tests;
