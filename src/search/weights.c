/* weights.c - the one table of weights. */
#include "search/weights.h"

const struct search_weights search_weights = {
    .word = 0.5,
    .title = 0.45,
    .cover = 0.8,
    .period = 0.2,
    .leaders = 8,
    .feedback = 0.1,
    .feedback_unfound = 0.4,
    .maxsim = 0.45,
    .recency = 0,
    .significance = 0,
    .release = 0.15,
};
