//! Runs one component under limits.
