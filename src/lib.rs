//! pgsteward looks after PostgreSQL servers. One tick is a fold; `ARCHITECTURE.md` has the drawing.
pub mod alert;
pub mod app;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod env;
pub mod model;
pub mod plugin;
pub mod problem;
pub mod rules;
pub mod store;
pub mod text;
pub mod yaml;
