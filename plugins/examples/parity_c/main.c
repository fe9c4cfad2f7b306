// Dead rows outrun vacuum: the rule that `../parity/README.md` describes, as it is written in C.
#include <math.h>

#include "pgsteward.h"

// What a table may hold, less what ten minutes of updates will add.
static double limit(double times, double factor, double fresh, double trigger, double rate) {
    return fmax(times * factor * fresh * trigger - 600 * rate, 0);
}

static void evaluate(pgs_call *call) {
    const double *dead = pgs_column(call, "tables.dead");
    const double *trigger = pgs_column(call, "tables.vacuum_trigger");
    const double *rate = pgs_column(call, "rate(tables.n_tup_upd)");
    const double *age = pgs_column(call, "tables.vacuum_age");
    double factor = pgs_number(call, "factor");

    for (uint32_t row = 0; pgs_next(call, &row); row++) {
        double fresh = age[row] < 600 ? 2 : 1; // an unknown age is not below anything
        double warning = limit(1, factor, fresh, trigger[row], rate[row]);
        double critical = limit(3, factor, fresh, trigger[row], rate[row]);
        if (!(dead[row] > warning)) continue;

        bool worse = dead[row] > critical;
        pgs_report(call, row, worse ? PGS_CRITICAL : PGS_WARNING, "{schema}.{table} has {tables.dead} dead, more than its updates leave room for");
        pgs_evidence(call, "tables.dead", dead[row], worse ? critical : warning, "rows");
        pgs_evidence(call, "updates", rate[row], PGS_NONE, "/s");
        pgs_evidence(call, "tables.vacuum_age", age[row], PGS_NONE, "s");
        pgs_action(call, "vacuum", "gets ahead of the updates");
        pgs_with_flag(call, "analyze", true);
    }
}

const pgs_plugin pgs_this = {
    .id = "parity_c",
    .version = "1.0.0",
    .properties = PGS_PROPERTIES({"summary", "the rule of ../parity, in C"}),
    .rules = PGS_RULES({
        .id = "parity",
        .title = "Dead rows outrun vacuum",
        .from = "tables",
        .needs = PGS_NEEDS({"tables.dead"}, {"tables.vacuum_trigger"}, {"rate(tables.n_tup_upd)"}, {"tables.vacuum_age", .optional = true}),
        .settings = PGS_SETTINGS(PGS_NUMBER("factor", 2, 1, 50, "x", "warn above this multiple of the trigger")),
        .properties = PGS_PROPERTIES(
            {"category", "vacuum"}, {"tier", "ticket"}, {"for", "10m"}, {"interval", "5m"},
            {"runbook", "Do: vacuum the table, then lower its autovacuum_vacuum_scale_factor."}),
        .evaluate = evaluate,
    }),
};
