// Writing pgsteward plugins in C. Say what the rule reads (`pgs_this`), look at the rows, report what is wrong.
//
// Neighbours: pgsteward.c is the other half of this file; plugin.h and plugin.c are the binding of the contract
// (wit/plugin.wit), made by wit-bindgen. A plugin needs only this header.
//
// Two things to know. An unknown number is NaN, and every comparison with NaN is false: `pgs_next` passes over rows in
// which a required input is unknown, and optional ones want `pgs_known`. And each call runs in a fresh instance: what
// is allocated is never freed, and nothing is remembered from one call to the next.
//
// Deliberately absent: stdio. `printf` and friends need a WASI host, and pgsteward refuses such a plugin. <string.h>,
// <stdlib.h> and <math.h> are fine.
#ifndef PGSTEWARD_H
#define PGSTEWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// No number: an unknown measurement, an evidence without a limit.
#define PGS_NONE __builtin_nan("")
// Instead of a row: the whole server.
#define PGS_SERVER UINT32_MAX

typedef enum { PGS_INFO, PGS_WARNING, PGS_CRITICAL } pgs_severity;
typedef enum { PGS_LOG_DEBUG, PGS_LOG_INFO, PGS_LOG_WARN, PGS_LOG_ERROR } pgs_level;

// One call: the input and, growing, the answer.
typedef struct pgs_call pgs_call;

// Something that the rule reads: "tables.dead", "rate(tables.n_tup_upd)", "ago(tables.live, 1d)", ... (`pgsteward frames`).
typedef struct {
    const char *input;
    bool optional;
} pgs_need;

// What operators may set. Made by one of the three macros.
typedef struct {
    const char *name, *doc, *unit, *text;
    double number, min, max;
    enum { PGS_IS_NUMBER, PGS_IS_TEXT, PGS_IS_FLAG } kind;
    bool flag;
} pgs_setting;
#define PGS_NUMBER(NAME, DEFAULT, MIN, MAX, UNIT, DOC) \
    {.kind = PGS_IS_NUMBER, .name = NAME, .number = DEFAULT, .min = MIN, .max = MAX, .unit = UNIT, .doc = DOC}
#define PGS_TEXT(NAME, DEFAULT, DOC) {.kind = PGS_IS_TEXT, .name = NAME, .text = DEFAULT, .unit = "", .doc = DOC}
#define PGS_FLAG(NAME, DEFAULT, DOC) {.kind = PGS_IS_FLAG, .name = NAME, .flag = DEFAULT, .unit = "", .doc = DOC}

// More that a rule or plugin says of itself: {"category", "vacuum"}, {"tier", "ticket"}, {"for", "10m"}, ...
typedef struct {
    const char *key, *value;
} pgs_property;

typedef struct {
    const char *id, *title;
    // The frame whose rows are judged; NULL for a rule about the whole server.
    const char *from;
    const pgs_need *needs;              // PGS_NEEDS(...)
    const pgs_setting *settings;        // PGS_SETTINGS(...), or NULL
    const pgs_property *properties;     // PGS_PROPERTIES(...), or NULL
    void (*evaluate)(pgs_call *);
    // Whether legal settings also fit each other: `pgs_fail` for each thing that is wrong. NULL when they always do.
    void (*validate)(pgs_call *);
} pgs_rule;

typedef struct {
    const char *id, *version;
    const pgs_property *properties;
    const pgs_rule *rules;              // PGS_RULES(...)
} pgs_plugin;

// The lists end with an empty entry, which these add.
#define PGS_NEEDS(...) (const pgs_need[]){__VA_ARGS__, {0}}
#define PGS_SETTINGS(...) (const pgs_setting[]){__VA_ARGS__, {0}}
#define PGS_PROPERTIES(...) (const pgs_property[]){__VA_ARGS__, {0}}
#define PGS_RULES(...) (const pgs_rule[]){__VA_ARGS__, {0}}

// What each plugin defines, once.
extern const pgs_plugin pgs_this;

// --- Reading ---

// Whether a number is known.
static inline bool pgs_known(double x) { return !__builtin_isnan(x); }

// Moves `row` on to the next row of the rule's own frame whose required inputs are all known, itself included:
// `for (uint32_t row = 0; pgs_next(call, &row); row++)`. False after the last. Without an own frame: `row` 0, once.
bool pgs_next(pgs_call *call, uint32_t *row);

// How many rows a frame has; 0 when it is not there.
uint32_t pgs_rows(pgs_call *call, const char *frame);

// The values of a need, by its exact `input`, one for each row of its frame; all NaN when an optional one is not there.
// Ask once, before the loop.
const double *pgs_column(pgs_call *call, const char *input);

// A text of a label or text column among the needs ("sessions.query"); NULL where unknown. One call to the host,
// of which an evaluation has a limited number: for many rows, `pgs_texts`.
const char *pgs_text(pgs_call *call, const char *column, uint32_t row);

// All texts of that column, in one call to the host.
const char *const *pgs_texts(pgs_call *call, const char *column);

// Whether the row's alert fires now. For limits that are slower to end than to begin.
bool pgs_firing(pgs_call *call, uint32_t row);

// A setting's value.
double pgs_number(pgs_call *call, const char *setting);
const char *pgs_string(pgs_call *call, const char *setting);
bool pgs_flag(pgs_call *call, const char *setting);

// A fact about the target ("target", "server_version_num", "in_recovery" as 0 or 1, ...); NaN and NULL when not known.
double pgs_fact(pgs_call *call, const char *key);
const char *pgs_fact_text(pgs_call *call, const char *key);

// The tick's time, in seconds since 1970.
double pgs_now(pgs_call *call);

// --- Answering ---

// Begins a finding. The host fills in `summary`: `{column}`, `{evidence}` and `{setting}` become what they are in this
// row. What follows, up to the next `pgs_report`, is about it. Texts are copied.
void pgs_report(pgs_call *call, uint32_t row, pgs_severity severity, const char *summary);
// More for who looks closer, filled in like the summary.
void pgs_detail(pgs_call *call, const char *detail);
// A measured fact beside its limit; PGS_NONE where there is none. The unit is one of the contract's ("rows", "s", "%", ...).
void pgs_evidence(pgs_call *call, const char *metric, double value, double limit, const char *unit);
// A page to read on.
void pgs_link(pgs_call *call, const char *title, const char *url);
// Something that could be done (`docs/reference/actions.md`), and why; its parameters follow.
void pgs_action(pgs_call *call, const char *kind, const char *why);
void pgs_with_number(pgs_call *call, const char *name, double value);
void pgs_with_text(pgs_call *call, const char *name, const char *value);
void pgs_with_flag(pgs_call *call, const char *name, bool value);

// A row that the rule cannot judge though its required inputs are known: its alert keeps its state.
void pgs_unknown(pgs_call *call, uint32_t row);
// Nothing can be said, for this reason (a fragment). The first one counts; in `validate` each does.
void pgs_fail(pgs_call *call, const char *reason);
// A line in pgsteward's log.
void pgs_log(pgs_level level, const char *message);

// --- Texts ---

// The texts up to NULL, one after another: `pgs_concat("a ", b, NULL)`.
char *pgs_concat(const char *first, ...) __attribute__((sentinel));
// A text that goes into a summary or detail as it stands: its braces are doubled. For texts that came from a database;
// "unknown" for NULL.
char *pgs_plain(const char *text);
// The first characters of a text. Cut with this: half a character is no text, and ends the call in a trap.
char *pgs_head(const char *text, size_t characters);
// A whole number in decimal; "unknown" for NaN.
char *pgs_decimal(double value);
// Whether both are there and the same.
bool pgs_same(const char *a, const char *b);

#endif
