/* watermark.c - how far work has come that goes on from there, also after a restart: numbers in instance_fact. */
#include "activity/inside.h"

struct err *activity_watermark_read(struct db_tx *tx, const char *name, int64_t *mark)
{
    struct db_rows rows;
    struct str     value = {0};
    *mark = 0;
    TRY(db_query(tx, &rows, "SELECT value FROM instance_fact WHERE name = $1", name));
    if (db_next(&rows, &value) && !str_to_int(value, mark)) *mark = 0;
    return db_done(&rows);
}

struct err *activity_watermark_write(struct db_tx *tx, const char *name, int64_t mark)
{
    return db_exec(tx, "UPDATE instance_fact SET value = $2 WHERE name = $1", name,
                   str_printf(tx->arena, "%lld", (long long)mark));
}
