"""What {{name}} looks for, and how it tells."""

from pgsteward import action, evidence, optional, plugin, rule, setting


@rule(
    id="{{name}}",
    title="Much of a table is dead rows",
    from_="tables",
    needs={"dead": "tables.dead", "live": "tables.live", "running": optional("tables.vacuum_running")},
    settings={
        "share": setting(20, "warn above this share of dead rows", range=(1, 100), unit="%"),
        "least": setting(10000, "fewer dead rows are left alone", range=(0, 1e9), unit="rows"),
    },
    category="vacuum",
    tier="ticket",
    for_="10m",
    runbook="Do: see whether autovacuum keeps up with this table.",
)
def evaluate(call):
    share, least = call.settings["share"], call.settings["least"]
    # The rows in which every required input is known. An optional number that is not there is NaN.
    for row in call.rows:
        if row.dead < least or row.dead == 0 or row.running == 1:
            continue
        now = 100 * (row.dead / (row.dead + row.live))
        limit = 0.8 * share if row.firing else share  # slower to end than to begin
        if now <= limit:
            continue
        # The host fills in the braces: columns of the row, evidence and settings, each in its unit.
        call.report(
            row, "warning", "{dead share} of {schema}.{table} is dead rows, {tables.dead}",
            evidence=[evidence("dead share", now, limit, "%"), evidence("tables.dead", row.dead, least, "rows")],
            actions=[action("vacuum", "makes their space usable again")],
        )


Rules = plugin("{{name}}", "0.1.0", evaluate)
