//! What one call of a plugin may use, and what it used.

/// Limits of one call. Each is exact: a call that uses as much passes, one that wants more ends in a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units of work, about one an instruction: the same on every machine.
    pub fuel: u64,
    /// Wall time in milliseconds; a backstop for what fuel does not count, and no part of a reproducible verdict.
    pub wall_ms: u64,
    /// Bytes of all linear memories together.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Core instances; interpreters that were made into a component hold more than 20.
    pub instances: u64,
    /// Linear memories, and as many tables.
    pub memories: u64,
    /// Bytes that cross from the plugin to the host in one crossing.
    pub crossing_bytes: u64,
    /// Calls of the host.
    pub host_calls: u64,
    /// Bytes of log.
    pub log_bytes: u64,
    /// Bytes of the plugin's questions for texts and of their answers.
    pub asked_bytes: u64,
    /// Findings.
    pub findings: u64,
    /// Bytes of all texts in what it answers.
    pub text_bytes: u64,
}

impl Limits {
    /// What holds where nobody says otherwise: room for a scripting language's interpreter over 100,000 tables.
    pub const DEFAULT: Self = Self {
        fuel: 5_000_000_000,
        wall_ms: 2_000,
        memory_bytes: 128 << 20,
        table_elements: 100_000,
        instances: 100,
        memories: 32,
        crossing_bytes: 16 << 20,
        host_calls: 10_000,
        log_bytes: 64 << 10,
        asked_bytes: 16 << 20,
        findings: 10_000,
        text_bytes: 4 << 20,
    };

    /// What an operator may raise a limit to. The engine's pools are sized by it.
    pub const MAX: Self = Self {
        fuel: 1_000_000_000_000,
        wall_ms: 60_000,
        memory_bytes: 1 << 30,
        table_elements: 1_000_000,
        instances: 400,
        memories: 100,
        crossing_bytes: 128 << 20,
        host_calls: 10_000_000,
        log_bytes: 16 << 20,
        asked_bytes: 256 << 20,
        findings: 100_000,
        text_bytes: 64 << 20,
    };

    /// The limits under the names by which people set them, in order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("fuel", self.fuel),
            ("wall_ms", self.wall_ms),
            ("memory_bytes", self.memory_bytes),
            ("table_elements", self.table_elements),
            ("instances", self.instances),
            ("memories", self.memories),
            ("crossing_bytes", self.crossing_bytes),
            ("host_calls", self.host_calls),
            ("log_bytes", self.log_bytes),
            ("asked_bytes", self.asked_bytes),
            ("findings", self.findings),
            ("text_bytes", self.text_bytes),
        ]
    }

    /// Sets a limit by name; it may not pass `MAX`.
    ///
    /// # Errors
    /// When there is no such limit, or the value is 0 or more than an operator may allow.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), String> {
        let known = Self::MAX.named();
        let Some((_, most)) = known.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no limit `{name}` (known: {})", names.join(", ")));
        };
        if value == 0 || value > *most {
            return Err(format!("`{name}` must be 1 to {most}, not {value}"));
        }
        let place = match name {
            "fuel" => &mut self.fuel,
            "wall_ms" => &mut self.wall_ms,
            "memory_bytes" => &mut self.memory_bytes,
            "table_elements" => &mut self.table_elements,
            "instances" => &mut self.instances,
            "memories" => &mut self.memories,
            "crossing_bytes" => &mut self.crossing_bytes,
            "host_calls" => &mut self.host_calls,
            "log_bytes" => &mut self.log_bytes,
            "asked_bytes" => &mut self.asked_bytes,
            "findings" => &mut self.findings,
            _ => &mut self.text_bytes,
        };
        *place = value;
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one call used, as far as it can be counted. A limit that it wanted to pass counts as used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Units of work.
    pub fuel: u64,
    /// Bytes of all linear memories together, at their largest.
    pub memory_bytes: u64,
    /// Elements of all tables together, at their largest.
    pub table_elements: u64,
    /// Calls of the host.
    pub host_calls: u64,
    /// Bytes of log.
    pub log_bytes: u64,
    /// Bytes of its questions for texts and of their answers.
    pub asked_bytes: u64,
    /// Findings.
    pub findings: u64,
    /// Bytes of all texts in its answer.
    pub text_bytes: u64,
}

impl Use {
    /// Name, used and limit of everything that is counted.
    #[must_use]
    pub fn against(&self, limits: &Limits) -> [(&'static str, u64, u64); 8] {
        [
            ("fuel", self.fuel, limits.fuel),
            ("memory_bytes", self.memory_bytes, limits.memory_bytes),
            ("table_elements", self.table_elements, limits.table_elements),
            ("host_calls", self.host_calls, limits.host_calls),
            ("log_bytes", self.log_bytes, limits.log_bytes),
            ("asked_bytes", self.asked_bytes, limits.asked_bytes),
            ("findings", self.findings, limits.findings),
            ("text_bytes", self.text_bytes, limits.text_bytes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_limit_can_be_set_and_none_beyond_the_operators_maximum() {
        for (name, most) in Limits::MAX.named() {
            let mut limits = Limits::default();
            limits.set(name, most).unwrap();
            assert!(limits.named().contains(&(name, most)), "{name}");
            assert_eq!(limits.set(name, most + 1), Err(format!("`{name}` must be 1 to {most}, not {}", most + 1)));
            assert!(limits.set(name, 0).is_err());
        }
        assert!(Limits::default().set("fule", 1).unwrap_err().starts_with("there is no limit `fule` (known: fuel, wall_ms, "));
    }
}
