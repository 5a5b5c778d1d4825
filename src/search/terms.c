/* terms.c - the terms of a query and what they weigh, for whoever picks passages out of results. */
#include "search/parts.h"

#include "base/utf8.h"

struct err *search_query_terms(struct search *search, struct arena *arena, int64_t workspace, struct str query,
                               struct search_terms *terms)
{
    struct query read;
    query_read(arena, str_trim(utf8_repair(arena, query)), &read);
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, workspace, &index));
    *terms = (struct search_terms){.at = NEW_ARRAY(arena, struct search_term, read.term_count), .n = read.term_count};
    for (size_t i = 0; i < read.term_count; i++)
        terms->at[i] = (struct search_term){read.terms[i], index_idf(index, read.terms[i])};
    return NULL;
}
