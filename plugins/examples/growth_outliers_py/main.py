"""Finds tables that grow unlike the others of their database, without a limit that somebody would have to know."""

from collections import defaultdict
from math import log2
from statistics import median

from pgsteward import action, evidence, optional, plugin, rule, setting

# What passes for spread where most tables do not grow at all: about 1 % a day.
LEAST_SPREAD = 0.015
# A median absolute deviation of normally distributed values is this part of their standard deviation.
NORMAL = 0.6745


def per_cent(doublings):
    return 100 * (2**doublings - 1)


def by_database(rows):
    groups = defaultdict(list)
    for row in rows:
        if row.bytes > 0 and row.before > 0:
            groups[row.database].append((row, log2(row.bytes / row.before)))
    return groups.values()


@rule(
    id="growth_outlier",
    title="A table grows unlike the others",
    from_="tables",
    category="capacity",
    tier="advice",
    interval="1h",
    runbook="Do: ask who writes to it; a missing clean-up, a retry loop or a doubled import is the usual cause.\n"
    "False alarm: a table that was loaded on purpose; it is quiet again a day later.",
    needs={
        "database": "tables.database",  # a number is enough: it is equal where the names are
        "bytes": "tables.total_bytes",
        "before": "ago(tables.total_bytes, 1d)",
        "partition": optional("tables.is_partition"),
    },
    settings={
        "score": setting(8, "told from so many robust standard deviations above the median", range=(2, 1000)),
        "least": setting(2**30, "growth in a day below this is left alone", range=(0, 2**50), unit="bytes"),
        "peers": setting(8, "databases with fewer tables are left alone", range=(3, 10000)),
    },
)
def growth_outlier(call):
    score, least, peers = (call.settings[name] for name in ("score", "least", "peers"))
    for group in by_database(row for row in call.rows if row.partition != 1):
        if len(group) < peers:
            continue
        typical = median(growth for _, growth in group)
        spread = max(median(abs(growth - typical) for _, growth in group), LEAST_SPREAD) / NORMAL
        for row, growth in group:
            limit = score * (0.8 if row.firing else 1)  # slower to end than to begin
            if (growth - typical) / spread <= limit or row.bytes - row.before < least:
                continue
            call.report(
                row, "info", "{schema}.{table} grew by {growth} in a day to {tables.total_bytes}; the tables around it by {typical growth}",
                evidence=[
                    evidence("growth", per_cent(growth), unit="%"),
                    evidence("typical growth", per_cent(typical), unit="%"),
                    evidence("score", (growth - typical) / spread, limit),
                    evidence("tables.total_bytes", row.bytes, unit="bytes"),
                ],
                actions=[action("note", text="Find out who writes to it; agree on a retention, and partition it by time if rows are to be dropped.")],
            )


Rules = plugin("growth_outliers_py", "1.0.0", growth_outlier, summary="tables that grow unlike the others")
