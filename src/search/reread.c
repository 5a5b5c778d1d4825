/* reread.c - the texts of the best hits, where the query shares hardly a word with what there is.
 *
 * One vector for a text tells what it is about, not what it says: a query in other words is found among the first hits,
 * but seldom as the very first. Its words are compared with theirs one by one, for so few texts that it costs little.
 */
#include "search/parts.h"

#include <math.h>

enum { READ = 8 };              /* hits, whatever the page */
static const double few = 0.35; /* of the query's words, by idf: from there on the words themselves tell more */

static struct embed_maxsim *maxsim_of_query(const struct search *search, struct arena *arena, const struct query *query,
                                            const double *idf)
{
    struct embed_word *words = NEW_ARRAY(arena, struct embed_word, query->term_count);
    for (size_t i = 0; i < query->term_count; i++)
        words[i] = (struct embed_word){query->words[i], (float)pow(idf[i], search->weights->word)};
    return embed_maxsim(search->embed, arena, words, query->term_count);
}

struct err *reread(const struct search *search, struct db_tx *tx, int64_t workspace, const struct query *query,
                   const double *idf, struct index_hits *hits)
{
    double weight = search->weights->maxsim, found = rerank_found(hits->at, hits->n);
    if (!(weight > 0) || found >= few) return NULL;
    struct arena *arena  ARENA_SCOPE = arena_create();
    struct embed_maxsim *maxsim = maxsim_of_query(search, arena, query, idf);
    size_t               n = hits->n < READ ? hits->n : READ;
    for (size_t i = 0; maxsim && i < n; i++) {
        struct row row;
        TRY(row_find(tx, workspace, hits->at[i].id, &row));
        struct str text = str_two_lines(arena, text_without_label(row.title), row.content);
        hits->at[i].score = fmin(1, hits->at[i].score + weight * (1 - found) * embed_maxsim_of(maxsim, text));
    }
    rerank_order(hits->at, n);
    return NULL;
}
