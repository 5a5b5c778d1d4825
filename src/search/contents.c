/* contents.c - whole items by id. */
#include "search/parts.h"

struct err *search_contents(struct search *search, struct arena *arena, int64_t workspace, const struct str *ids,
                            size_t n, struct search_content *items)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    for (size_t i = 0; i < n; i++) {
        struct row row = {0};
        struct str xid;
        if (row_xid(ids[i], &xid)) TRY(row_find_xid(tx, workspace, xid, &row));
        items[i] = (struct search_content){.id = ids[i], .found = row.id != 0};
        if (!row.id) continue;
        items[i].title = row.title;
        items[i].url = row.url.s ? row.url : STR("");
        items[i].content = row.content;
        items[i].snippet = snippet_opening(
            arena, plain_text(arena, content_after_title(row.title, row.content)), SEARCH_OPENING);
        items[i].source = row.source;
        items[i].type = row.type;
        items[i].metadata = row.metadata;
        items[i].occurred_at = row.occurred_at;
    }
    return NULL;
}
