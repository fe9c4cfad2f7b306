//! pgsteward looks after PostgreSQL servers. One tick is a fold; `ARCHITECTURE.md` has the drawing.
pub mod calendar;
pub mod clock;
pub mod collect;
pub mod deliver;
pub mod model;
pub mod problem;
pub mod rules;
pub mod store;
pub mod text;
pub mod yaml;
