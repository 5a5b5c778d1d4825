/* rerank.c - the final score of the best hits, by mode. */
#include "search/parts.h"

#include "base/time.h"

#include <math.h>
#include <stdlib.h>

// clang-format off
/* Shares of the final score. The half-life is the age at which an item has lost half of its recency. */
static const struct { double merged, recency, significance; int64_t half_life; } weights[] = {
    [SEARCH_FAST]     = {1.00, 0.00, 0.00, DAYS(90)},
    [SEARCH_BALANCED] = {0.92, 0.05, 0.03, DAYS(90)},
    [SEARCH_THOROUGH] = {0.92, 0.05, 0.03, DAYS(90)},
};
// clang-format on

static int by_score(const void *left, const void *right)
{
    const struct index_hit *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->time != b->time) return a->time < b->time ? 1 : -1;
    return (a->id < b->id) - (a->id > b->id);
}

void rerank(enum search_mode mode, int64_t now, struct index_hit *hits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double age = now > hits[i].time ? (double)(now - hits[i].time) : 0;
        double recency = weights[mode].recency ? exp2(-age / (double)weights[mode].half_life) : 0;
        double score = weights[mode].merged * hits[i].score + weights[mode].recency * recency +
                       weights[mode].significance * hits[i].significance / 100;
        hits[i].score = score < 0 ? 0 : score > 1 ? 1 : score;
    }
    qsort(hits, n, sizeof *hits, by_score);
}
