// In how long the ids run out where freezing is overdue. A share of 2^31 says how far a database is; this says how much
// time a person has.
#include "pgsteward.h"

// The server stops giving out ids so many before it would wrap around.
static const double LAST_ID = 2147483648.0 - 3000000.0;

// Ids that the whole server uses a second. They are counted in one place, so every database ages alike, but for those that
// were frozen in that hour: the one that grew most tells. NaN when none does.
static double ids_per_second(const double *age, const double *hour_ago, uint32_t rows) {
    double most = 0;
    for (uint32_t row = 0; row < rows; row++)
        if (age[row] - hour_ago[row] > most) most = age[row] - hour_ago[row];
    return most > 0 ? most / 3600 : PGS_NONE;
}

static void judge(pgs_call *call, const char *ages, const char *ages_then, const char *freeze_ages, const char *summary) {
    const double *age = pgs_column(call, ages), *freeze_age = pgs_column(call, freeze_ages);
    double used = ids_per_second(age, pgs_column(call, ages_then), pgs_rows(call, "freeze"));
    double warning = pgs_number(call, "warning"), critical = pgs_number(call, "critical"), late = pgs_number(call, "late");

    for (uint32_t row = 0; pgs_next(call, &row); row++) {
        if (!(age[row] > late * freeze_age[row])) continue; // a freeze is not due, or at work in time
        double left = (age[row] < LAST_ID ? LAST_ID - age[row] : 0) / used;
        if (!pgs_known(left)) {
            pgs_unknown(call, row); // overdue, and nobody can say how fast it ages
            continue;
        }
        double room = pgs_firing(call, row) ? 1.25 : 1; // slower to end than to begin
        if (!(left < warning * room)) continue;

        bool soon = left < critical;
        pgs_report(call, row, soon ? PGS_CRITICAL : PGS_WARNING, summary);
        pgs_evidence(call, "time left", left, soon ? critical : warning * room, "s");
        pgs_evidence(call, ages, age[row], late * freeze_age[row], "xids");
        pgs_evidence(call, "ids used", used, PGS_NONE, "/s");
        pgs_action(call, "note", "");
        pgs_with_text(call, "text", "Find what holds back the horizon (`xmin_holders`), then VACUUM (FREEZE) the tables of greatest age, oldest first.");
    }
}

static void xids(pgs_call *call) {
    judge(call, "freeze.xid_age", "ago(freeze.xid_age, 1h)", "freeze.freeze_max_age",
          "`{database}` runs out of transaction ids in {time left}, at {ids used}, and freezing is overdue");
}

static void mxids(pgs_call *call) {
    judge(call, "freeze.mxid_age", "ago(freeze.mxid_age, 1h)", "freeze.mxid_freeze_max_age",
          "`{database}` runs out of multixact ids in {time left}, at {ids used}, and freezing is overdue");
}

static void validate(pgs_call *call) {
    if (pgs_number(call, "critical") > pgs_number(call, "warning")) pgs_fail(call, "`critical` must not be more than `warning`");
}

static const pgs_setting SETTINGS[] = {
    PGS_NUMBER("warning", 7 * 86400, 3600, 365 * 86400.0, "s", "warn when less than this is left"),
    PGS_NUMBER("critical", 86400, 600, 365 * 86400.0, "s", "critical when less than this is left"),
    PGS_NUMBER("late", 1.2, 1, 10, "x", "freezing counts as overdue above this multiple of its age limit"),
    {0},
};

static const pgs_property PROPERTIES[] = {
    {"category", "vacuum"}, {"tier", "page"}, {"interval", "5m"},
    {"runbook", "Why: at the end the server refuses every write until the oldest table is frozen, which can take hours.\n"
                "Do: end what keeps the horizon back, then VACUUM (FREEZE) by hand, the oldest table first.\n"
                "False alarm: a burst of transactions that is over; the hour that is measured still holds it."},
    {0},
};

const pgs_plugin pgs_this = {
    .id = "wraparound_eta_c",
    .version = "1.0.0",
    .properties = PGS_PROPERTIES({"summary", "time until ids run out"}),
    .rules = PGS_RULES(
        {.id = "xid_eta", .title = "Transaction ids run out soon", .from = "freeze", .settings = SETTINGS, .properties = PROPERTIES,
         .needs = PGS_NEEDS({"freeze.xid_age"}, {"ago(freeze.xid_age, 1h)", .optional = true}, {"freeze.freeze_max_age"}),
         .evaluate = xids, .validate = validate},
        {.id = "mxid_eta", .title = "Multixact ids run out soon", .from = "freeze", .settings = SETTINGS, .properties = PROPERTIES,
         .needs = PGS_NEEDS({"freeze.mxid_age"}, {"ago(freeze.mxid_age, 1h)", .optional = true}, {"freeze.mxid_freeze_max_age"}),
         .evaluate = mxids, .validate = validate}),
};
