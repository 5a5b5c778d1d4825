/* summary.h - what a cluster's summary is made from, and its row. */
#pragma once
#include "memory/announce.h"

struct cluster_member {
    struct llm_member shown; /* what a model sees of it */
    struct str        source_type, topics;
    int64_t           content_topics, score;
};

enum { SUMMARY_LEAST_MEMBERS = 5, SUMMARY_MEMBERS_READ = 200 };
struct cluster_facts {
    int64_t    id, count, first, last, summarised_at, closed_at, captured_at; /* 0: never; of a member at the latest */
    struct str label;
    bool                   closed, history; /* history: all members are */
    struct cluster_member *members; /* newest first */
    size_t                 member_count;
};
/* id 0: there is no such cluster. */
MUST_CHECK struct err *cluster_facts_read(struct db_tx *tx, int64_t workspace, struct str xid,
                                          struct cluster_facts *facts);

/* Why no summary is due, or NULL: below_threshold, summary_recent, cluster_not_found, no_observations. */
const char *cluster_summary_needless(const struct cluster_facts *facts, int64_t now);

/* The summary without a model, from what is counted. There are members. */
void                   cluster_summary_template(struct arena *arena, const struct cluster_facts *facts, int64_t now,
                                                struct llm_summary *summary);
MUST_CHECK struct err *cluster_summary_write(struct db_tx *tx, int64_t workspace, int64_t id,
                                             const struct llm_summary *summary);
