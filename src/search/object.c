/* object.c - which occurrences are about one and the same object. */
#include "search/parts.h"

// clang-format off
/* How many parts between colons name the object; what follows is the state or action (the connectors' sourceIds). */
static const struct { const char *kind; int parts; } kinds[] = {
    {"pr",                    2}, /* pr:OWNER/REPO#7:merged */
    {"issue",                 2}, /* issue:OWNER/REPO#7:closed@1700000000 */
    {"discussion",            2}, /* discussion:OWNER/REPO#7:answered@1700000000 */
    {"release",               3}, /* release:OWNER/REPO:v1.2:edited@1700000000 */
    {"review",                3}, /* review:OWNER/REPO#7:991:approved */
    {"deployment",            2}, /* deployment:dpl_1:succeeded */
    {"linear-issue",          3}, /* linear-issue:ENG:ENG-42:create */
    {"linear-comment",        3},
    {"linear-project",        2},
    {"linear-cycle",          3},
    {"linear-project-update", 3},
    {"sentry-issue",          3}, /* sentry-issue:web:WEB-1A:resolved@1700000000 */
    {"sentry-metric-alert",   3},
    {"sentry-comment",        3},
};
// clang-format on

struct str object_key(struct str source_id)
{
    struct str rest = source_id, kind;
    if (!str_cut(&rest, ':', &kind)) return source_id;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!str_eq(kind, str_of(kinds[i].kind))) continue;
        size_t at = kind.n;
        for (int part = 1; part < kinds[i].parts && at != SIZE_MAX; part++)
            at = str_find_char(source_id, ':', at + 1);
        return at == SIZE_MAX ? source_id : str_slice(source_id, 0, at);
    }
    return source_id;
}

struct err *object_of(struct db_tx *tx, int64_t workspace, int64_t id, struct str *key)
{
    struct db_rows rows;
    *key = (struct str){0};
    TRY(db_query(tx, &rows, "SELECT source_id FROM observation WHERE workspace_id = $1 AND id = $2", workspace, id));
    if (db_next(&rows, key)) *key = object_key(*key);
    return db_done(&rows);
}
