/* registry.c - the functions of this process and who cares about which event. Read-only once the engine runs. */
#include "flow/parts.h"

#include "base/time.h"

static const struct expression_setting {
    const char *what;
    size_t      from, to; /* offsets of the text in struct flow_function, of the tree in struct function */
} settings[] = {
    {"when", offsetof(struct flow_function, when), offsetof(struct function, when)},
    {"title", offsetof(struct flow_function, title), offsetof(struct function, title)},
    {"source", offsetof(struct flow_function, source), offsetof(struct function, source)},
    {"idempotency", offsetof(struct flow_function, idempotency), offsetof(struct function, idempotency)},
    {"priority", offsetof(struct flow_function, priority), offsetof(struct function, priority)},
    {"concurrency key", offsetof(struct flow_function, concurrency[0].key), offsetof(struct function, lane[0])},
    {"concurrency key", offsetof(struct flow_function, concurrency[1].key), offsetof(struct function, lane[1])},
    {"batch key", offsetof(struct flow_function, batch.key), offsetof(struct function, gather_key)},
    {"debounce key", offsetof(struct flow_function, debounce.key), offsetof(struct function, gather_key)},
    {"coalesce key", offsetof(struct flow_function, coalesce.key), offsetof(struct function, gather_key)},
};

static struct err *parse(struct flow *flow, const char *text, const char *what, const struct flow_expression **tree)
{
    if (!text) return NULL;
    struct err *err = flow_expression_parse(flow->arena, str_of(text), tree);
    return err ? err_wrap(flow->arena, err, "%s", what) : NULL;
}

static struct err *parse_expressions(struct flow *flow, struct function *function)
{
    const struct flow_function *table = function->table;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *text = *(const char *const *)((const char *)table + settings[i].from);
        TRY(parse(flow, text, settings[i].what,
                  (const struct flow_expression **)((char *)function + settings[i].to)));
    }
    for (size_t i = 0; i < CANCEL_ONS; i++) {
        if (table->cancel_on[i].event && !table->cancel_on[i].match == !table->cancel_on[i].when)
            return err_new(flow->arena, ERR_INVALID, "cancel_on wants match or when");
        TRY(parse(flow, table->cancel_on[i].when, "cancel_on", &function->cancel_when[i]));
    }
    return NULL;
}

static struct err *check_settings(struct flow *flow, struct function *function)
{
    const struct flow_function *t = function->table;
    int gathers = (t->batch.max > 0) + (t->debounce.period > 0) + (t->coalesce.key != NULL);
    const struct { bool wrong; const char *what;
    } checks[] = {
        {!t->run == !t->run_many, "wants run or run_many"},
        {t->retries < 0 || t->retries > 20, "retries is 0 to 20"},
        {gathers > 1, "wants one of batch, debounce and coalesce"},
        {t->batch.max < 0 || t->batch.max > 100, "batch.max is 1 to 100"},
        {t->batch.max > 0 && (t->batch.timeout < SECONDS(1) || t->batch.timeout > SECONDS(60)),
         "batch.timeout is 1 to 60 s"},
        {t->debounce.period && (t->debounce.period < SECONDS(1) || t->debounce.period > DAYS(7)),
         "debounce.period is 1 s to 7 days"},
        {t->concurrency[1].limit > 0 && t->concurrency[0].limit == 0, "the second concurrency wants a first"},
        {t->concurrency[0].limit < 0 || t->concurrency[1].limit < 0, "a concurrency limit is positive"},
        {!t->on && !t->cron && gathers > 0, "without events there is nothing to gather"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].wrong) return err_new(flow->arena, ERR_INVALID, "%s", checks[i].what);
    function->gather = t->batch.max ? GATHER_BATCH : t->debounce.period ? GATHER_DEBOUNCE
                     : t->coalesce.key ? GATHER_COALESCE : GATHER_NOTHING;
    if (!t->cron) return NULL;
    int64_t last;
    return flow_cron_times(flow->arena, str_of(t->cron), time_now(), &last, &function->next_tick);
}

static struct interest *interest_of(struct flow *flow, struct str name)
{
    int64_t *at = map_at(flow->interests, name);
    if (!*at) {
        *VEC_PUSH(flow->arena, &flow->interest_list) = NEW(flow->arena, struct interest);
        *at = (int64_t)flow->interest_list.n;
    }
    return flow->interest_list.at[*at - 1];
}

static void subscribe(struct flow *flow, struct function *function)
{
    const struct flow_function *table = function->table;
    for (struct str rest = str_of(table->on), name; str_cut(&rest, ' ', &name);) {
        if (!name.n) continue;
        if (str_ends(name, STR("*")))
            *VEC_PUSH(flow->arena, &flow->wildcards) = (struct wildcard){str_slice(name, 0, name.n - 1), function};
        else
            *VEC_PUSH(flow->arena, &interest_of(flow, name)->functions) = function;
    }
    for (size_t i = 0; i < CANCEL_ONS && table->cancel_on[i].event; i++)
        interest_of(flow, str_of(table->cancel_on[i].event))->cancels = true;
    for (size_t i = 0; i < sizeof table->waits / sizeof *table->waits && table->waits[i]; i++)
        interest_of(flow, str_of(table->waits[i]))->awaited = true;
}

static struct function *add(struct flow *flow, const struct flow_function *table, const char *suffix, void *context)
{
    struct function *function = NEW(flow->arena, struct function);
    struct str       name = str_printf(flow->arena, "%s%s", table->name, suffix);
    *function =
        (struct function){.name = str_z(flow->arena, name), .table = table, .context = context, .run = table->run};
    *VEC_PUSH(flow->arena, &flow->functions) = function;
    *map_at(flow->by_name, name) = (int64_t)flow->functions.n;
    return function;
}

static void add_follow_up(struct flow *flow, const struct flow_function *table, const char *suffix,
                          struct err *(*run)(struct flow_run *), void *context)
{
    if (!run) return;
    struct flow_function *settings_of = NEW(flow->arena, struct flow_function);
    *settings_of = (struct flow_function){.name = table->name, .run = run, .retries = table->retries, .system = true};
    struct function *function = add(flow, settings_of, suffix, context);
    function->follow_up = true;
}

static struct err *register_one(struct flow *flow, const struct flow_function *table, void *context)
{
    if (!table->name || flow_function_named(flow, str_of(table->name)))
        return err_new(flow->arena, ERR_INVALID, "is registered twice");
    struct function *function = add(flow, table, "", context);
    TRY(check_settings(flow, function));
    TRY(parse_expressions(flow, function));
    subscribe(flow, function);
    add_follow_up(flow, table, "#failure", table->on_failure, context);
    add_follow_up(flow, table, "#cancel", table->on_cancel, context);
    return NULL;
}

struct err *flow_register(struct flow *flow, struct arena *arena, const struct flow_function *const *functions,
                          size_t n, void *context)
{
    for (size_t i = 0; i < n; i++) {
        struct err *err = register_one(flow, functions[i], context);
        if (err)
            return err_new(arena, err->code, "function %s: " STR_FMT,
                           functions[i]->name ? functions[i]->name : "without name", STR_ARG(err_text(arena, err)));
    }
    return NULL;
}

struct function *flow_function_named(struct flow *flow, struct str name)
{
    int64_t *at = map_find(flow->by_name, name);
    return at ? flow->functions.at[*at - 1] : NULL;
}

struct interest *flow_interest(struct flow *flow, struct arena *arena, struct str name)
{
    int64_t         *at = map_find(flow->interests, name);
    struct interest *exact = at ? flow->interest_list.at[*at - 1] : NULL, *joined = NULL;
    for (size_t i = 0; i < flow->wildcards.n; i++) {
        if (!str_starts(name, flow->wildcards.at[i].prefix)) continue;
        if (!joined) {
            joined = NEW(arena, struct interest);
            if (exact) *joined = (struct interest){.awaited = exact->awaited, .cancels = exact->cancels};
            for (size_t k = 0; exact && k < exact->functions.n; k++)
                *VEC_PUSH(arena, &joined->functions) = exact->functions.at[k];
        }
        bool known = false; /* by its full name, or by a shorter prefix */
        for (size_t k = 0; k < joined->functions.n; k++)
            known |= joined->functions.at[k] == flow->wildcards.at[i].function;
        if (!known) *VEC_PUSH(arena, &joined->functions) = flow->wildcards.at[i].function;
    }
    return joined ? joined : exact;
}

bool flow_is_heard(const struct db *db, struct str name)
{
    const struct flow *flow = db_attached(db);
    if (!flow || map_find(flow->interests, name)) return true;
    for (size_t i = 0; i < flow->wildcards.n; i++)
        if (str_starts(name, flow->wildcards.at[i].prefix)) return true;
    return false;
}

bool flow_is_awaited(struct flow *flow, struct str name)
{
    int64_t *at = map_find(flow->interests, name);
    return at && flow->interest_list.at[*at - 1]->awaited;
}
