/* rerank.c - the final score of the best hits, by mode. */
#include "search/parts.h"

#include "base/time.h"

#include <math.h>
#include <stdlib.h>

static const int64_t half_life = DAYS(90); /* the age at which an item has lost half of its recency */

static int by_score(const void *left, const void *right)
{
    const struct index_hit *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->time != b->time) return a->time < b->time ? 1 : -1;
    return (a->id < b->id) - (a->id > b->id);
}

void rerank_order(struct index_hit *hits, size_t n)
{
    qsort(hits, n, sizeof *hits, by_score);
}

double rerank_found(const struct index_hit *hits, size_t n)
{
    double found = 0;
    for (size_t i = 0; i < n; i++) found = fmax(found, hits[i].cover);
    return found;
}

/* What resembles the best hits is raised, and the more so the less the query's own words are found: then the best hits
 * are known by their meaning alone, and their words are better than the query's. */
static double feedback_weight(const struct search_weights *weights, const struct index_hit *hits, size_t n)
{
    double nearest = 0;
    for (size_t i = 0; i < n; i++) nearest = fmax(nearest, hits[i].feedback);
    if (!(nearest > 0)) return 0; /* none without vectors */
    return weights->feedback + weights->feedback_unfound * (1 - rerank_found(hits, n));
}

static double final_score(const struct rerank *rules, const struct index_hit *hit, double feedback)
{
    const struct search_weights *weights = rules->weights;
    double age = rules->now > hit->time ? (double)(rules->now - hit->time) : 0;
    double recency = weights->recency > 0 ? exp2(-age / (double)half_life) : 0;
    double merged = (hit->score + feedback * hit->feedback) / (1 + feedback);
    double score = (1 - weights->recency - weights->significance) * merged + weights->recency * recency +
                   weights->significance * hit->significance / 100;
    /* its text lists what every other item says */
    if (!rules->releases && str_starts(hit->type, STR("release_"))) score -= weights->release;
    return score < 0 ? 0 : score > 1 ? 1 : score;
}

void rerank(struct rerank rules, struct index_hit *hits, size_t n)
{
    double feedback = feedback_weight(rules.weights, hits, n);
    for (size_t i = 0; i < n && rules.mode != SEARCH_FAST; i++) hits[i].score = final_score(&rules, &hits[i], feedback);
    rerank_order(hits, n);
}
