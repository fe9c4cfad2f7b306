"""All of the Python kit in one rule; see ../README.md."""

from pgsteward import UNKNOWN, CannotTell, action, evidence, known, link, log, optional, plain, plugin, rule, setting, text


@rule(
    id="conformance",
    title="All of a kit",
    from_="sessions",
    needs={
        "query": text("sessions.query"),
        "application": optional(text("sessions.application")),
        "age": "sessions.state_age",
        "xact": optional("sessions.xact_age"),
        "clients": optional("connections.clients"),
    },
    settings={
        "limit": setting(60, "warn above this", range=(1, 3600), unit="s"),
        "word": setting("slow", "what to look for"),
        "loud": setting(False, "tell the sum too"),
    },
    validate=lambda settings: ["`word` must not be empty"] if settings["word"] == "" else [],
    tier="advice",
    **{"label.team": "nobody"},
)
def conformance(call):
    limit, word = call.settings["limit"], call.settings["word"]
    server = next(iter(call.rows_of("connections")), None)
    told = 0

    for row in call.rows:
        if word not in row.query or (row.age < 5 and not row.firing):
            continue
        if row.application == "undecided":
            call.unknown(row)
            continue
        if row.application == "impossible":
            raise CannotTell("this cannot be")

        many = f"{server.clients:.0f}" if server and known(server.clients) else "unknown"
        call.report(
            row, "warning" if row.age > limit else "info", f"{{pid}}: {plain(row.query[:20])}",
            detail=f"by {plain(row.application) if known(row.application) else 'nobody'} with {many} clients",
            evidence=[evidence("sessions.state_age", row.age, limit, "s"), evidence("sessions.xact_age", row.xact, unit="s")],
            links=[link("about sessions", "https://www.postgresql.org/docs/current/monitoring-stats.html")],
            actions=[action("note", text="look at it"), action("cancel_backend", "it may be in the way", pid=4711)],
        )
        told += 1

    if call.settings["loud"]:
        log("warn", f"loud on {call.facts.get('target', 'nobody knows')}")
        version = evidence("version", call.facts.get("server_version_num", UNKNOWN))
        call.report(None, "info", f"{told} of {len(call.rows_of('sessions'))} sessions", evidence=[version])


Rules = plugin("conformance_py", "1.0.0", conformance)
