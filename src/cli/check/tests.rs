//! Goldens of what `check` shows.
