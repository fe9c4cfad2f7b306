// The other half of pgsteward.h: answers the three calls of the contract from `pgs_this`.
//
// Lists grow by doubling, strings are copied (the binding frees what it hands over), and a mistake of the plugin (a
// column it does not need, a setting it does not declare) becomes the evaluation's error, not a trap.

#include "pgsteward.h"
#include "plugin.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const double **ptr;
    size_t len;
} columns_t;

struct pgs_call {
    const pgs_rule *rule;
    wire_input_t input;
    uint32_t rows;      // of the own frame
    columns_t required; // of the own frame: unknown here means that the row is unknown
    bool *firing;       // one a row of the own frame; made when first asked for
    exports_rules_evaluation_t answer;
    plugin_list_string_t errors;
};

// --- Lists and strings ---

// Room for one more after `len` entries of `size` bytes, set to zero.
static void *one_more(void *list, size_t len, size_t size) {
    if ((len & (len - 1)) == 0) {
        list = realloc(list, (len ? len * 2 : 1) * size);
        if (!list) abort();
    }
    return memset((char *)list + len * size, 0, size), list;
}
#define PUSH(LIST) ((LIST).ptr = one_more((LIST).ptr, (LIST).len, sizeof *(LIST).ptr), &(LIST).ptr[(LIST).len++])

static plugin_string_t copy(const char *text) {
    plugin_string_t out = {0};
    if (text && *text) plugin_string_dup(&out, text);
    return out;
}

static char *terminated(plugin_string_t text) {
    char *out = malloc(text.len + 1);
    if (!out) abort();
    if (text.len) memcpy(out, text.ptr, text.len);
    out[text.len] = 0;
    return out;
}

static bool is(plugin_string_t text, const char *other) {
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

char *pgs_concat(const char *first, ...) {
    va_list texts;
    size_t len = 0;
    va_start(texts, first);
    for (const char *text = first; text; text = va_arg(texts, const char *)) len += strlen(text);
    va_end(texts);
    char *out = malloc(len + 1), *end = out;
    if (!out) abort();
    va_start(texts, first);
    for (const char *text = first; text; text = va_arg(texts, const char *)) end = stpcpy(end, text);
    va_end(texts);
    return *end = 0, out;
}

char *pgs_head(const char *text, size_t characters) {
    char *out = pgs_concat(text, NULL), *end = out;
    // A byte 10xxxxxx goes on with the character before it.
    while (*end && ((*end & 0xC0) == 0x80 || characters-- > 0)) end++;
    return *end = 0, out;
}

char *pgs_plain(const char *text) {
    if (!text) text = "unknown";
    char *out = malloc(2 * strlen(text) + 1), *end = out;
    if (!out) abort();
    for (; *text; text++) {
        if (*text == '{' || *text == '}') *end++ = *text;
        *end++ = *text;
    }
    return *end = 0, out;
}

char *pgs_decimal(double value) {
    if (!pgs_known(value)) return pgs_concat("unknown", NULL);
    char digits[24], *at = digits + sizeof digits;
    double size = __builtin_fabs(value) + 0.5;
    uint64_t rest = size < 1e18 ? (uint64_t)size : (uint64_t)1e18;
    *--at = 0;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value <= -0.5) *--at = '-';
    return pgs_concat(at, NULL);
}

bool pgs_same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

// --- Reading ---

void pgs_fail(pgs_call *call, const char *reason) { *PUSH(call->errors) = copy(reason); }

static void mistake(pgs_call *call, const char *name, const char *what) { pgs_fail(call, pgs_concat("`", name, "` ", what, NULL)); }

// The frame in "frame.column" or "rate(frame.column)".
static plugin_string_t frame_in(const char *input) {
    const char *paren = strchr(input, '('), *begin = paren ? paren + 1 : input;
    return (plugin_string_t){(uint8_t *)begin, strcspn(begin, ".")};
}

uint32_t pgs_rows(pgs_call *call, const char *frame) {
    for (size_t i = 0; i < call->input.frames.len; i++)
        if (is(call->input.frames.ptr[i].name, frame)) return call->input.frames.ptr[i].rows;
    const pgs_need *need = call->rule->needs;
    while (need && need->input && !is(frame_in(need->input), frame)) need++;
    if (!need || !need->input) mistake(call, frame, "is read by no need of this rule");
    return 0;
}

static uint32_t rows_of(pgs_call *call, const char *input) { return pgs_rows(call, terminated(frame_in(input))); }

static void gather_required(pgs_call *call) {
    const char *from = call->rule->from;
    call->rows = from ? pgs_rows(call, from) : 0;
    for (const pgs_need *need = call->rule->needs; from && need && need->input; need++)
        if (!need->optional && is(frame_in(need->input), from)) *PUSH(call->required) = pgs_column(call, need->input);
}

static bool all_known(pgs_call *call, uint32_t row) {
    for (size_t i = 0; i < call->required.len; i++)
        if (!pgs_known(call->required.ptr[i][row])) return false;
    return true;
}

bool pgs_next(pgs_call *call, uint32_t *row) {
    if (!call->rule->from) return *row == 0;
    while (*row < call->rows && !all_known(call, *row)) ++*row;
    return *row < call->rows;
}

const double *pgs_column(pgs_call *call, const char *input) {
    uint32_t rows = rows_of(call, input);
    plugin_list_f64_t values = {0};
    const pgs_need *need = call->rule->needs;
    while (need->input && strcmp(need->input, input) != 0) need++;
    size_t at = (size_t)(need - call->rule->needs);
    if (!need->input) mistake(call, input, "is not among the needs");
    else if (at < call->input.columns.len) values = call->input.columns.ptr[at].values;
    if (values.len >= rows && values.len > 0) return values.ptr;
    double *out = malloc((rows + 1) * sizeof *out);
    if (!out) abort();
    for (uint32_t row = 0; row <= rows; row++) out[row] = row < values.len ? values.ptr[row] : PGS_NONE;
    return out;
}

// Asks the host for texts; a refusal is the evaluation's error, and all texts are then unknown.
static const char **texts(pgs_call *call, const char *column, uint32_t first, uint32_t count) {
    const char **out = calloc(count + 1, sizeof *out);
    uint32_t *rows = calloc(count + 1, sizeof *rows);
    if (!out || !rows) abort();
    for (uint32_t i = 0; i < count; i++) rows[i] = first + i;
    plugin_string_t name = {(uint8_t *)column, strlen(column)}, refusal;
    plugin_list_u32_t asked = {rows, count};
    plugin_list_option_string_t found = {0};
    if (!host_text(&name, &asked, &found, &refusal)) return pgs_fail(call, terminated(refusal)), out;
    for (uint32_t i = 0; i < count && i < found.len; i++)
        if (found.ptr[i].is_some) out[i] = terminated(found.ptr[i].val);
    return out;
}

const char *pgs_text(pgs_call *call, const char *column, uint32_t row) { return texts(call, column, row, 1)[0]; }

const char *const *pgs_texts(pgs_call *call, const char *column) { return texts(call, column, 0, rows_of(call, column)); }

bool pgs_firing(pgs_call *call, uint32_t row) {
    plugin_list_u32_t firing = call->input.firing;
    uint32_t rows = call->rule->from ? call->rows : 1;
    if (!call->firing) {
        call->firing = calloc(rows + 1, sizeof *call->firing);
        if (!call->firing) abort();
        for (size_t i = 0; i < firing.len; i++)
            if (firing.ptr[i] < rows) call->firing[firing.ptr[i]] = true;
    }
    return row < rows && call->firing[row];
}

double pgs_now(pgs_call *call) { return call->input.now; }

// --- Settings and facts ---

static const wire_value_t *entry(wire_list_entry_t list, const char *key) {
    const wire_value_t *found = NULL;
    for (size_t i = 0; i < list.len; i++)
        if (is(list.ptr[i].key, key)) found = &list.ptr[i].value;
    return found;
}

static const wire_value_t *setting(pgs_call *call, const char *name, uint8_t tag) {
    const wire_value_t *value = entry(call->input.settings, name);
    if (value && value->tag == tag) return value;
    return mistake(call, name, "is not a setting of that type"), NULL;
}

double pgs_number(pgs_call *call, const char *name) {
    const wire_value_t *value = setting(call, name, WIRE_VALUE_NUMBER);
    return value ? value->val.number : PGS_NONE;
}

const char *pgs_string(pgs_call *call, const char *name) {
    const wire_value_t *value = setting(call, name, WIRE_VALUE_TEXT);
    return value ? terminated(value->val.text) : "";
}

bool pgs_flag(pgs_call *call, const char *name) {
    const wire_value_t *value = setting(call, name, WIRE_VALUE_FLAG);
    return value && value->val.flag;
}

double pgs_fact(pgs_call *call, const char *key) {
    const wire_value_t *value = entry(call->input.extra, key);
    if (value && value->tag == WIRE_VALUE_NUMBER) return value->val.number;
    return value && value->tag == WIRE_VALUE_FLAG ? value->val.flag : PGS_NONE;
}

const char *pgs_fact_text(pgs_call *call, const char *key) {
    const wire_value_t *value = entry(call->input.extra, key);
    return value && value->tag == WIRE_VALUE_TEXT ? terminated(value->val.text) : NULL;
}

// --- Answering ---

void pgs_report(pgs_call *call, uint32_t row, pgs_severity severity, const char *summary) {
    wire_finding_t *finding = PUSH(call->answer.findings);
    finding->row = (plugin_option_u32_t){row != PGS_SERVER, row};
    finding->severity = (wire_severity_t)severity;
    finding->summary = copy(summary);
}

static wire_finding_t *latest(pgs_call *call) {
    if (call->answer.findings.len == 0) pgs_report(call, PGS_SERVER, PGS_INFO, ""), pgs_fail(call, "nothing is reported yet");
    return &call->answer.findings.ptr[call->answer.findings.len - 1];
}

void pgs_detail(pgs_call *call, const char *detail) { latest(call)->detail = copy(detail); }

void pgs_evidence(pgs_call *call, const char *metric, double value, double limit, const char *unit) {
    wire_evidence_t *evidence = PUSH(latest(call)->evidence);
    *evidence = (wire_evidence_t){copy(metric), value, {pgs_known(limit), limit}, copy(unit)};
}

void pgs_link(pgs_call *call, const char *title, const char *url) {
    wire_link_t *link = PUSH(latest(call)->links);
    *link = (wire_link_t){copy(title), copy(url)};
}

void pgs_action(pgs_call *call, const char *kind, const char *why) {
    wire_action_t *action = PUSH(latest(call)->actions);
    action->kind = copy(kind);
    action->why = copy(why);
}

static void with(pgs_call *call, const char *name, wire_value_t value) {
    if (latest(call)->actions.len == 0) pgs_action(call, "", ""), pgs_fail(call, "no action is begun yet");
    wire_finding_t *finding = latest(call);
    wire_entry_t *param = PUSH(finding->actions.ptr[finding->actions.len - 1].params);
    *param = (wire_entry_t){copy(name), value};
}

void pgs_with_number(pgs_call *call, const char *name, double value) {
    with(call, name, (wire_value_t){WIRE_VALUE_NUMBER, {.number = value}});
}

void pgs_with_text(pgs_call *call, const char *name, const char *value) {
    with(call, name, (wire_value_t){WIRE_VALUE_TEXT, {.text = copy(value)}});
}

void pgs_with_flag(pgs_call *call, const char *name, bool value) {
    with(call, name, (wire_value_t){WIRE_VALUE_FLAG, {.flag = value}});
}

void pgs_unknown(pgs_call *call, uint32_t row) { *PUSH(call->answer.unknown) = row; }

void pgs_log(pgs_level level, const char *message) {
    plugin_string_t text = copy(message);
    host_log((host_level_t)level, &text);
}

// --- The three calls ---

static wire_list_entry_t properties(const pgs_property *list) {
    wire_list_entry_t out = {0};
    for (; list && list->key; list++) {
        wire_entry_t *entry = PUSH(out);
        *entry = (wire_entry_t){copy(list->key), {WIRE_VALUE_TEXT, {.text = copy(list->value)}}};
    }
    return out;
}

static wire_value_t fallback(const pgs_setting *setting) {
    switch (setting->kind) {
    case PGS_IS_TEXT: return (wire_value_t){WIRE_VALUE_TEXT, {.text = copy(setting->text)}};
    case PGS_IS_FLAG: return (wire_value_t){WIRE_VALUE_FLAG, {.flag = setting->flag}};
    default: return (wire_value_t){WIRE_VALUE_NUMBER, {.number = setting->number}};
    }
}

static void describe_rule(const pgs_rule *rule, wire_rule_def_t *out) {
    out->id = copy(rule->id);
    out->title = copy(rule->title);
    out->from = (plugin_option_string_t){rule->from != NULL, copy(rule->from)};
    out->extra = properties(rule->properties);
    for (const pgs_need *need = rule->needs; need && need->input; need++) {
        wire_need_t *to = PUSH(out->needs);
        *to = (wire_need_t){copy(need->input), need->optional};
    }
    for (const pgs_setting *from = rule->settings; from && from->name; from++) {
        wire_setting_def_t *to = PUSH(out->settings);
        *to = (wire_setting_def_t){copy(from->name), fallback(from), {from->kind == PGS_IS_NUMBER, {from->min, from->max}}, copy(from->unit), copy(from->doc)};
    }
}

void exports_rules_describe(exports_rules_plugin_def_t *ret) {
    *ret = (exports_rules_plugin_def_t){.id = copy(pgs_this.id), .version = copy(pgs_this.version), .extra = properties(pgs_this.properties)};
    for (const pgs_rule *rule = pgs_this.rules; rule->id; rule++) describe_rule(rule, PUSH(ret->rules));
}

static const pgs_rule *find(plugin_string_t *id, pgs_call *call) {
    for (const pgs_rule *rule = pgs_this.rules; rule->id; rule++)
        if (is(*id, rule->id)) return rule;
    return mistake(call, terminated(*id), "is not a rule of this plugin"), NULL;
}

bool exports_rules_validate_settings(plugin_string_t *rule, exports_rules_list_entry_t *settings, plugin_list_string_t *err) {
    pgs_call call = {.input = {.settings = {settings->ptr, settings->len}}};
    call.rule = find(rule, &call);
    if (call.rule && call.rule->validate) call.rule->validate(&call);
    *err = call.errors;
    return call.errors.len == 0;
}

bool exports_rules_evaluate(plugin_string_t *rule, exports_rules_input_t *input, exports_rules_evaluation_t *ret, plugin_string_t *err) {
    pgs_call call = {.input = *input};
    call.rule = find(rule, &call);
    if (call.rule) gather_required(&call), call.rule->evaluate(&call);
    *ret = call.answer;
    if (call.errors.len > 0) *err = call.errors.ptr[0];
    return call.errors.len == 0;
}
