// All of the C kit in one rule; see ../README.md.
#include <string.h>

#include "pgsteward.h"

static void evaluate(pgs_call *call) {
    const double *age = pgs_column(call, "sessions.state_age"), *xact = pgs_column(call, "sessions.xact_age");
    const double *clients = pgs_column(call, "connections.clients");
    const char *const *query = pgs_texts(call, "sessions.query");
    double limit = pgs_number(call, "limit"), told = 0;
    const char *word = pgs_string(call, "word");

    for (uint32_t row = 0; pgs_next(call, &row); row++) {
        if (!query[row] || !strstr(query[row], word) || (age[row] < 5 && !pgs_firing(call, row))) continue;
        const char *application = pgs_text(call, "sessions.application", row);
        if (pgs_same(application, "undecided")) {
            pgs_unknown(call, row);
            continue;
        }
        if (pgs_same(application, "impossible")) pgs_fail(call, "this cannot be");

        const char *many = pgs_decimal(pgs_rows(call, "connections") ? clients[0] : PGS_NONE);
        pgs_report(call, row, age[row] > limit ? PGS_WARNING : PGS_INFO, pgs_concat("{pid}: ", pgs_plain(pgs_head(query[row], 20)), NULL));
        pgs_detail(call, pgs_concat("by ", application ? pgs_plain(application) : "nobody", " with ", many, " clients", NULL));
        pgs_evidence(call, "sessions.state_age", age[row], limit, "s");
        pgs_evidence(call, "sessions.xact_age", xact[row], PGS_NONE, "s");
        pgs_link(call, "about sessions", "https://www.postgresql.org/docs/current/monitoring-stats.html");
        pgs_action(call, "note", "");
        pgs_with_text(call, "text", "look at it");
        pgs_action(call, "cancel_backend", "it may be in the way");
        pgs_with_number(call, "pid", 4711);
        told++;
    }

    if (pgs_flag(call, "loud")) {
        const char *target = pgs_fact_text(call, "target");
        pgs_log(PGS_LOG_WARN, pgs_concat("loud on ", target ? target : "nobody knows", NULL));
        pgs_report(call, PGS_SERVER, PGS_INFO, pgs_concat(pgs_decimal(told), " of ", pgs_decimal(pgs_rows(call, "sessions")), " sessions", NULL));
        pgs_evidence(call, "version", pgs_fact(call, "server_version_num"), PGS_NONE, "");
    }
}

static void validate(pgs_call *call) {
    if (pgs_same(pgs_string(call, "word"), "")) pgs_fail(call, "`word` must not be empty");
}

const pgs_plugin pgs_this = {
    .id = "conformance_c",
    .version = "1.0.0",
    .rules = PGS_RULES({
        .id = "conformance",
        .title = "All of a kit",
        .from = "sessions",
        .needs = PGS_NEEDS({"sessions.query"}, {"sessions.application", .optional = true}, {"sessions.state_age"},
                           {"sessions.xact_age", .optional = true}, {"connections.clients", .optional = true}),
        .settings = PGS_SETTINGS(PGS_NUMBER("limit", 60, 1, 3600, "s", "warn above this"), PGS_TEXT("word", "slow", "what to look for"),
                                 PGS_FLAG("loud", false, "tell the sum too")),
        .properties = PGS_PROPERTIES({"tier", "advice"}, {"label.team", "nobody"}),
        .evaluate = evaluate,
        .validate = validate,
    }),
};
