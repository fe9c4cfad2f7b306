//! Label maps: who a row, finding or alert is about. Identity only, never a measured value.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Few;

/// Sorted label names and values; shared, since an alert, its notices and its history have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub Arc<Few<String>>);

impl Labels {
    /// The value of one label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there is no label at all, as for a finding about the whole server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and over them the others.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        if self.is_empty() {
            return over.clone();
        }
        self.0.iter().chain(over.0.iter()).collect()
    }

    /// Adds or replaces one label.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        Arc::make_mut(&mut self.0).insert(name.into(), value.into());
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect()))
    }
}

/// The short human form: `shop.public.orders` for relations, else the values with their names. Not for SQL.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = ["database", "schema", "table", "index", "sequence"];
        let mut parts: Vec<&str> = path.iter().filter_map(|name| self.get(name)).collect();
        // An index carries its table too; the table is not part of the path that names the index.
        if self.get("index").is_some() && self.get("table").is_some() {
            parts.remove(parts.len() - 2);
        }
        let mut rest: Vec<String> = self.0.iter().filter(|(k, _)| !path.contains(&k.as_str())).map(|(k, v)| format!("{k} {v}")).collect();
        if !parts.is_empty() {
            rest.insert(0, parts.join("."));
        }
        f.write_str(&rest.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_read_as_paths_and_the_rest_by_name() {
        let index: Labels = [("database", "shop"), ("schema", "public"), ("table", "orders"), ("index", "orders_x")].into_iter().collect();
        assert_eq!(index.to_string(), "shop.public.orders_x");
        let slot: Labels = [("slot", "old_dwh")].into_iter().collect();
        assert_eq!(slot.to_string(), "slot old_dwh");
        assert_eq!(Labels::default().to_string(), "");
    }
}
