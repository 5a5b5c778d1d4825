/* functions_names.c - a source that comes, goes or gets a name changes what "#12" means (spec/pipeline.md 10). */
#include "memory/parts.h"

#include "flow/flow.h"

enum { NUMBERS_AT_ONCE = 200 };

struct settling {
    struct flow_run *run;
    struct unsettled after, next; /* where this transaction begins, and where it ended */
    bool             more;
};

static struct err *settle_some(struct db_tx *tx, void *arg)
{
    struct settling *settling = arg;
    struct work      work;
    settling->next = settling->after;
    TRY(work_open(&work, settling->run->context, tx, settling->run->workspace));
    TRY(names_settle_numbers(&work, &settling->next, NUMBERS_AT_ONCE, &settling->more));
    TRY(work_close(&work));
    return settling->more ? NULL : flow_complete_in(settling->run, tx);
}

static struct err *settle_numbers(struct flow_run *run)
{
    struct settling settling = {.run = run, .more = true};
    while (settling.more) {
        if (flow_should_stop(run)) return err_new(run->arena, ERR_CANCELLED, "stopped");
        TRY(db_write(run->db, run->arena, settle_some, &settling));
        settling.after = settling.next;
    }
    return NULL;
}

const struct flow_function memory_references_settle = {
    .name = "neural.references.settle",
    .on = "source.connected.* source.named source.disconnected",
    .when = "sourceType == 'github' || sourceType == 'git'",
    .run = settle_numbers,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1, .key = "workspace"}},
    .finish_within = MINUTES(10),
};
