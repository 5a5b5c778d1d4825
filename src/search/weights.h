/* weights.h - the numbers of ranking that the evaluation chooses; all others are the specification's.
 *
 * `bench/tune` finds them: see docs/architecture.md 6 for how, and for what they were found to be worth on questions
 * that they were not chosen on.
 */
#pragma once
#include <stddef.h>

struct search_weights {
    double word;             /* power of a word's idf by which it counts in the query's vector; 0: all count alike */
    double title;            /* share of the title's vector in v; the rest is the nearest view's */
    double cover;            /* of c beside v in the merged score */
    double period;           /* added for items of the time that the query names */
    size_t leaders;          /* so many of the best hits tell what the query is about */
    double feedback;         /* of the nearness to them beside the merged score */
    double feedback_unfound; /* added to it where no word of the query is found; of some, as much as is missing */
    double maxsim;           /* of what the best hits say in other words, where few words of the query are found */
    double recency, significance; /* shares of the final score */
    double release;          /* taken from releases that nobody asked for */
};
extern const struct search_weights search_weights;
