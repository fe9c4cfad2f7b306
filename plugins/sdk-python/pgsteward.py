"""Writing pgsteward plugins in Python: say what a rule reads, look at rows, report what is wrong.

    @rule(id=..., title=..., from_="tables", needs={"dead": "tables.dead"}, settings={...})
    def judge(call): ...

    Rules = plugin("my_plugin", "1.0.0", judge)

Neighbours: the contract (wit/plugin.wit) says what crosses; this file hides the wire. `wit_world` and
`componentize_py_types` are made from the contract when the plugin is built.
Two things to know. An unknown number is NaN, and every comparison with NaN is false; an unknown text is None. And each call
runs in a fresh instance: nothing is remembered. There is no clock, no file and no network; `call.now` is the time, and `print`
goes to pgsteward's log. Import at the top of the file: what is imported later would be a file.
"""

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import host
from wit_world.imports.types import (
    Action, Entry, Evaluation, Evidence, Finding, Link, Need, PluginDef, RuleDef, SettingDef, Severity, Value_Flag, Value_Number, Value_Text,
)

UNKNOWN = float("nan")


class CannotTell(Exception):
    """Raised where nothing can be said, with the reason: a fragment. Any other exception is told with its type and place."""


@dataclass(frozen=True)
class Reads:
    """One need: its input, whether the rule can do without it, and whether its texts are wanted."""

    input: str
    optional: bool = False
    text: bool = False

    @property
    def frame(self):
        return self.input.split("(")[-1].split(".")[0]


def reads(need):
    return need if isinstance(need, Reads) else Reads(need)


def text(need):
    """A need that is read as text: `text("sessions.query")`."""
    return replace(reads(need), text=True)


def optional(need):
    """A need that the rule can do without: NaN or None where it is not there."""
    return replace(reads(need), optional=True)


def setting(default, doc, range=None, unit=""):
    """What operators may set. `default` is a number, a text or a flag; `range` goes with numbers."""
    return default, range and (float(range[0]), float(range[1])), unit, doc


def known(value):
    """Whether a number or text is known."""
    return value is not None and value == value


def plain(value):
    """A text that goes into a summary or detail as it stands: its braces are doubled. For texts that came from a database."""
    return str(value).replace("{", "{{").replace("}", "}}")


def whole(value):
    """A text that can cross: half of a character, which only an escape can make, is replaced."""
    return str(value).encode("utf-8", "replace").decode()


def evidence(metric, value, limit=None, unit=""):
    """A measured fact beside its limit."""
    return Evidence(whole(metric), float(value), None if limit is None else float(limit), unit)


def action(kind, why="", row=None, **params):
    """Something that could be done (docs/reference/actions.md), and why."""
    return Action(whole(kind), entries(params), whole(why), None if row is None else row.index, [])


def link(title, url):
    """A page to read on."""
    return Link(whole(title), whole(url))


def log(level, message):
    """A line in pgsteward's log; the level is debug, info, warn or error."""
    host.log(host.Level[level.upper()], whole(message))


def rule(id, title, needs, from_=None, settings=None, validate=None, **properties):
    """Makes a rule of the function below. Properties: category, tier, for_, interval, runbook, ... (a last `_` is dropped)."""

    def make(evaluate):
        return RuleOf(id, title, from_, {name: reads(need) for name, need in needs.items()}, settings or {}, validate, properties, evaluate)

    return make


def plugin(id, version, *rules, **properties):
    """What a plugin's main.py exports: `Rules = plugin("my_plugin", "1.0.0", judge)`."""

    def find(name):
        for one in rules:
            if one.id == name:
                return one
        raise CannotTell(f"`{name}` is not a rule of this plugin")

    # Made when the plugin is built, so that a slip shows then.
    about = PluginDef(id, version, [one.describe() for one in rules], words(properties))

    class Rules(exports.Rules):
        def describe(self):
            return about

        def validate_settings(self, rule, settings):
            with told(lambda reason: [reason]):
                wrong = list((find(rule).validate or (lambda _: []))(values(settings)))
            if wrong:
                raise Err(wrong)

        def evaluate(self, rule, input):
            with told(str):
                call = Call(find(rule), input)
                call.rule.evaluate(call)
            return Evaluation(call.findings, call.unjudged, [])

    return Rules


@dataclass(frozen=True)
class RuleOf:
    """A rule as its author said it."""

    id: str
    title: str
    from_: str
    needs: dict
    settings: dict
    validate: object
    properties: dict
    evaluate: object

    def describe(self):
        needs = [Need(need.input, need.optional) for need in self.needs.values()]
        settings = [SettingDef(name, wire(default), range, unit, doc) for name, (default, range, unit, doc) in self.settings.items()]
        return RuleDef(self.id, self.title, self.from_, needs, settings, words(self.properties))


class Row:
    """One row: each need of its frame by the name that the rule gave it, `index`, and whether its alert is `firing`."""

    __slots__ = ("frame", "index", "firing", "_columns")

    def __init__(self, frame, index, firing, columns):
        self.frame, self.index, self.firing, self._columns = frame, index, firing, columns

    def __getattr__(self, name):
        try:
            return self._columns[name][self.index]
        except KeyError:
            raise AttributeError(f"`{name}` is not among the needs of this row's frame") from None


class Texts:
    """The texts of a column, all at once when the first is looked at."""

    def __init__(self, input, rows):
        self.input, self.rows = input, rows

    @cached_property
    def found(self):
        return host.text(self.input, list(range(self.rows)))

    def __getitem__(self, row):
        return self.found[row]


class Call:
    """One evaluation: what was read, and the answer as it grows."""

    def __init__(self, rule, input):
        self.rule, self.input, self.findings, self.unjudged = rule, input, [], []
        self.settings, self.facts, self.now = values(input.settings), values(input.extra), input.now

    @cached_property
    def rows(self):
        """The rows of the rule's own frame whose required inputs are all known."""
        unknown = set()
        for _, need, column in self._named():
            if need.frame == self.rule.from_ and not need.optional:
                unknown.update(row for row, value in enumerate(column.values) if value != value)
        return [row for row in self.rows_of(self.rule.from_) if row.index not in unknown]

    def rows_of(self, frame):
        """All rows of a frame that the rule reads; none when it is not there."""
        if frame is not None and frame not in {need.frame for need in self.rule.needs.values()}:
            raise ValueError(f"no need of this rule reads `{frame}`")
        count = next((one.rows for one in self.input.frames if one.name == frame), 0)
        firing = set(self.input.firing) if frame == self.rule.from_ else set()
        columns = {name: self._cells(need, column, count) for name, need, column in self._named() if need.frame == frame}
        return [Row(frame, index, index in firing, columns) for index in range(count)]

    def report(self, row, severity, summary, detail="", evidence=(), actions=(), links=()):
        """Reports a problem of a row, or with None of the whole server. The host fills in the summary: `{column}`,
        `{evidence}` and `{setting}` become what they are in this row."""
        if severity not in ("info", "warning", "critical"):
            raise ValueError(f"`{severity}` is no severity (info, warning, critical)")
        words = whole(summary), whole(detail)
        self.findings.append(Finding(self._place(row), Severity[severity.upper()], *words, list(evidence), list(actions), list(links), []))

    def unknown(self, row):
        """Says that a row cannot be judged though its required inputs are known: its alert keeps its state."""
        self.unjudged.append(self._place(row))

    def _place(self, row):
        """Where a row stands in the rule's own frame; None for the whole server."""
        if row is not None and row.frame != self.rule.from_:
            raise ValueError(f"only a row of {self.rule.from_} can be reported, not one of {row.frame}")
        return None if row is None else row.index

    def _named(self):
        return ((name, need, column) for (name, need), column in zip(self.rule.needs.items(), self.input.columns))

    def _cells(self, need, column, count):
        if not column.present:
            return [None if need.text else UNKNOWN] * count
        return Texts(need.input, count) if need.text else column.values


# --- The wire ---


def wire(value):
    if isinstance(value, bool):
        return Value_Flag(value)
    return Value_Text(whole(value)) if isinstance(value, str) else Value_Number(float(value))


def entries(map):
    return [Entry(key, wire(value)) for key, value in map.items()]


def words(map):
    return [Entry(key.rstrip("_"), Value_Text(whole(value))) for key, value in map.items()]


def values(list):
    return {entry.key: entry.value.value for entry in list}


@contextmanager
def told(shaped):
    """An error is told in the contract's way instead of ending in a trap."""
    try:
        yield
    except CannotTell as error:
        raise Err(shaped(whole(error))) from error
    except BaseException as error:
        raise Err(shaped(whole(f"{type(error).__name__}: {error} ({place(error)})"))) from error


def place(error):
    """Where in the author's file an error came up."""
    here, trace = "", error.__traceback__
    while trace:
        file = trace.tb_frame.f_code.co_filename
        here = here if file == __file__ else f"{file.rsplit('/', 1)[-1]}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return here


class Printed:
    """What is printed, in pgsteward's log: a line when it is whole."""

    def __init__(self):
        self.rest = ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            log("info", line)

    def flush(self):
        pass


sys.stdout = Printed()
