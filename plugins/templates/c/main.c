// What {{name}} looks for, and how it tells.
#include "pgsteward.h"

static void evaluate(pgs_call *call) {
    // One number a row. An optional input that is not there is NaN in every row, and so is any number that is not known.
    const double *dead = pgs_column(call, "tables.dead");
    const double *live = pgs_column(call, "tables.live");
    const double *running = pgs_column(call, "tables.vacuum_running");
    double share = pgs_number(call, "share"), least = pgs_number(call, "least");

    // The rows in which every required input is known.
    for (uint32_t row = 0; pgs_next(call, &row); row++) {
        double now = 100 * (dead[row] / (dead[row] + live[row]));
        double limit = pgs_firing(call, row) ? 0.8 * share : share; // slower to end than to begin
        if (!(now > limit) || dead[row] < least || running[row] == 1) continue;

        // The host fills in the braces: columns of the row, evidence and settings, each in its unit.
        pgs_report(call, row, PGS_WARNING, "{dead share} of {schema}.{table} is dead rows, {tables.dead}");
        pgs_evidence(call, "dead share", now, limit, "%");
        pgs_evidence(call, "tables.dead", dead[row], least, "rows");
        pgs_action(call, "vacuum", "makes their space usable again");
    }
}

const pgs_plugin pgs_this = {
    .id = "{{name}}",
    .version = "0.1.0",
    .rules = PGS_RULES({
        .id = "{{name}}",
        .title = "Much of a table is dead rows",
        .from = "tables",
        .needs = PGS_NEEDS({"tables.dead"}, {"tables.live"}, {"tables.vacuum_running", .optional = true}),
        .settings = PGS_SETTINGS(
            PGS_NUMBER("share", 20, 1, 100, "%", "warn above this share of dead rows"),
            PGS_NUMBER("least", 10000, 0, 1e9, "rows", "fewer dead rows are left alone")),
        .properties = PGS_PROPERTIES({"category", "vacuum"}, {"tier", "ticket"}, {"for", "10m"},
                                     {"runbook", "Do: see whether autovacuum keeps up with this table."}),
        .evaluate = evaluate,
    }),
};
