//! Small plugins for tests: what one says of itself and answers is laid out in the memory of a core module, as the
//! canonical ABI has it. The module around that is the sandbox's tests'; what it does before it answers is WAT.
//!
//! Included by path where it is needed: `#[path = "support/guest.rs"] mod guest;`.
#![allow(dead_code, reason = "every test file uses its own part")]

#[path = "../../plugins/sandbox/tests/support/mod.rs"]
mod module;

/// WAT: the first row's value of the first need.
pub const FIRST: &str = "(f64.load (i32.load (local.get 5)))";
/// A plugin.
#[derive(Clone)]
pub struct Guest<'a> {
    pub id: &'a str,
    pub version: &'a str,
    pub facts: &'a [(&'a str, &'a str)],
    pub rules: Vec<Rule<'a>>,
    /// What `evaluate` does before it answers.
    pub before: String,
    /// What it then answers, whichever rule is asked.
    pub findings: Vec<Finding<'a>>,
    /// Rows that it cannot judge.
    pub unknown: &'a [u32],
    /// What `validate-settings` says is wrong.
    pub unfit: &'a [&'a str],
}

impl Default for Guest<'_> {
    fn default() -> Self {
        let (before, findings) = (String::new(), Vec::new());
        Self { id: "guest", version: "1.0.0", facts: &[], rules: vec![Rule::default()], before, findings, unknown: &[], unfit: &[] }
    }
}

/// A rule of it.
#[derive(Clone)]
pub struct Rule<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub from: Option<&'a str>,
    pub needs: &'a [&'a str],
    pub settings: &'a [Setting<'a>],
    pub extra: &'a [(&'a str, &'a str)],
}

impl Default for Rule<'_> {
    fn default() -> Self {
        Self { id: "guest_rule", title: "something is wrong", from: Some("tables"), needs: &["tables.dead"], settings: &[], extra: &[] }
    }
}

/// A number that operators may set.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    pub name: &'a str,
    pub default: f64,
    pub range: (f64, f64),
    pub unit: &'a str,
}

/// A finding; its texts are bytes, so that they can be none.
#[derive(Clone)]
pub struct Finding<'a> {
    pub row: Option<u32>,
    /// 0 to 2: info, warning, critical.
    pub severity: u8,
    pub summary: &'a [u8],
    pub evidence: &'a [(&'a str, f64)],
    /// Kinds with their parameters.
    pub actions: &'a [(&'a str, &'a [(&'a str, &'a str)])],
}

impl Default for Finding<'_> {
    fn default() -> Self {
        Self { row: Some(0), severity: 1, summary: b"something is wrong", evidence: &[], actions: &[] }
    }
}

/// WAT for `before`: traps where the first value is this.
pub fn traps_at(value: f64) -> String {
    format!("(if (f64.eq {FIRST} (f64.const {value})) (then (unreachable)))")
}

/// WAT for `before`: nothing is wrong unless the first value is above this.
pub fn quiet_up_to(value: f64) -> String {
    format!("(if (f64.le {FIRST} (f64.const {value})) (then (return {NOTHING})))", NOTHING = module::NOTHING)
}

/// WAT for `before`: goes round so many times.
pub fn works(times: u32) -> String {
    format!(
        "(local.set $n (i32.const {times})) (loop $again (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $again (local.get $n)))"
    )
}

impl Guest<'_> {
    /// A plugin that reports this of every input.
    pub fn finding(finding: Finding<'_>) -> Guest<'_> {
        Guest { findings: vec![finding], ..Guest::default() }
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        self.component_for("1.0.0")
    }

    /// The component, built for another version of the contract.
    pub fn component_for(&self, version: &str) -> Vec<u8> {
        let mut memory = Memory::default();
        let (described, unfit, answer) = (self.described(&mut memory), self.unfit(&mut memory), self.answer(&mut memory));
        let data: String = memory.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let at = |address: u32| format!("(i32.const {address})");
        let parts = module::Plugin {
            version,
            memory: "(memory $main (export \"memory\") 40)",
            fields: &format!("(data (i32.const {BASE}) \"{data}\")"),
            describe: &at(described),
            validate: &at(unfit),
            evaluate: &format!("{} {}", self.before, at(answer)),
            ..module::Plugin::default()
        };
        parts.component()
    }

    fn described(&self, memory: &mut Memory) -> u32 {
        let rules = self.rules.iter().map(|rule| rule.laid_out(memory)).collect();
        let (id, version, rules, facts) = (memory.text(self.id), memory.text(self.version), memory.list(rules), memory.texts(self.facts));
        memory.record(&Record::default().pair(id).pair(version).pair(rules).pair(facts))
    }

    fn unfit(&self, memory: &mut Memory) -> u32 {
        let reasons = self.unfit.iter().map(|reason| Record::default().pair(memory.text(reason))).collect();
        let reasons = memory.list(reasons);
        memory.record(&Record::default().byte((!self.unfit.is_empty()).into()).pair(reasons))
    }

    fn answer(&self, memory: &mut Memory) -> u32 {
        let findings = self.findings.iter().map(|finding| finding.laid_out(memory)).collect();
        let unknown = self.unknown.iter().map(|row| Record::default().word(*row)).collect();
        let (findings, unknown) = (memory.list(findings), memory.list(unknown));
        memory.record(&Record::default().byte(0).pair(findings).pair(unknown).pair((0, 0)))
    }
}

impl Rule<'_> {
    fn laid_out(&self, memory: &mut Memory) -> Record {
        let need = |need: &&str| {
            let (input, optional) = need.strip_suffix('?').map_or((*need, false), |input| (input, true));
            Record::default().pair(memory.text(input)).byte(optional.into())
        };
        let needs = self.needs.iter().map(need).collect();
        let settings = self.settings.iter().map(|setting| setting.laid_out(memory)).collect();
        let (id, title, from) = (memory.text(self.id), memory.text(self.title), self.from.map(|from| memory.text(from)));
        let (needs, settings, extra) = (memory.list(needs), memory.list(settings), memory.texts(self.extra));
        let record = Record::default().pair(id).pair(title).byte(from.is_some().into()).pair(from.unwrap_or_default());
        record.pair(needs).pair(settings).pair(extra)
    }
}

impl Setting<'_> {
    fn laid_out(&self, memory: &mut Memory) -> Record {
        let (name, unit, doc) = (memory.text(self.name), memory.text(self.unit), memory.text("a limit"));
        let record = Record::default().pair(name).byte(0).number(self.default);
        record.byte(1).number(self.range.0).number(self.range.1).pair(unit).pair(doc)
    }
}

impl Finding<'_> {
    fn laid_out(&self, memory: &mut Memory) -> Record {
        let evidence = |(metric, value): &(&str, f64)| {
            let (metric, unit) = (memory.text(metric), memory.text(""));
            Record::default().pair(metric).number(*value).byte(0).number(0.0).pair(unit)
        };
        let evidence = self.evidence.iter().map(evidence).collect();
        let action = |(kind, params): &(&str, &[(&str, &str)])| {
            let (kind, params) = (memory.text(kind), memory.texts(params));
            Record::default().pair(kind).pair(params).pair((0, 0)).byte(0).word(0).pair((0, 0))
        };
        let actions = self.actions.iter().map(action).collect();
        let (summary, evidence, actions) = (memory.bytes(self.summary), memory.list(evidence), memory.list(actions));
        let record = Record::default().byte(self.row.is_some().into()).word(self.row.unwrap_or_default()).byte(self.severity);
        record.pair(summary).pair((0, 0)).pair(evidence).pair(actions).pair((0, 0)).pair((0, 0))
    }
}

/// Where the laid out data begins.
const BASE: u32 = 1 << 20;

/// Address and length of a text or list.
type Pair = (u32, u32);

/// The data of a module, from `BASE` on.
#[derive(Default)]
struct Memory(Vec<u8>);

impl Memory {
    fn bytes(&mut self, bytes: &[u8]) -> Pair {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(0);
        }
        let address = BASE + self.0.len() as u32;
        self.0.extend(bytes);
        (address, bytes.len() as u32)
    }

    fn text(&mut self, text: &str) -> Pair {
        self.bytes(text.as_bytes())
    }

    fn record(&mut self, record: &Record) -> u32 {
        self.bytes(&record.bytes).0
    }

    fn list(&mut self, records: Vec<Record>) -> Pair {
        let count = records.len() as u32;
        (self.bytes(&records.into_iter().flat_map(Record::whole).collect::<Vec<u8>>()).0, count)
    }

    /// Named values of an open list, all of them texts.
    fn texts(&mut self, entries: &[(&str, &str)]) -> Pair {
        let entry = |(key, value): &(&str, &str)| {
            let (key, value) = (self.text(key), self.text(value));
            // The value's cases are as wide and aligned as a number.
            Record::default().pair(key).aligned(8).byte(1).aligned(8).pair(value)
        };
        let entries = entries.iter().map(entry).collect();
        self.list(entries)
    }
}

/// The fields of a record, each where its size puts it.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    align: usize,
}

impl Record {
    fn aligned(mut self, align: usize) -> Self {
        self.align = self.align.max(align);
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        self
    }

    fn field(mut self, bytes: &[u8]) -> Self {
        self = self.aligned(bytes.len());
        self.bytes.extend(bytes);
        self
    }

    fn byte(self, byte: u8) -> Self {
        self.field(&[byte])
    }

    fn word(self, word: u32) -> Self {
        self.field(&word.to_le_bytes())
    }

    fn number(self, number: f64) -> Self {
        self.field(&number.to_le_bytes())
    }

    fn pair(self, (address, count): Pair) -> Self {
        self.word(address).word(count)
    }

    /// Ready to stand in a list.
    fn whole(self) -> Vec<u8> {
        let align = self.align.max(1);
        self.aligned(align).bytes
    }
}
