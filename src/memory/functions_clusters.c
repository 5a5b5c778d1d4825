/* functions_clusters.c - work on every workspace, and the first such: closing clusters in which nothing happens. */
#include "memory/announce.h"

enum { IDLE_DAYS = 7, CLUSTERS_AT_ONCE = 400, EVENTS_A_CLUSTER = 2 };

/* ---- upkeep of all workspaces ------------------------------------------------------------------------------------ */

typedef VEC(struct upkeep) upkeep_list;

static struct err *list_workspaces(struct flow_run *run, upkeep_list *list)
{
    struct db_rows   rows;
    struct upkeep    one = {.memory = run->context, .began = time_now()};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(run->db, run->arena, &tx));
    TRY(db_query(tx, &rows,
                 "SELECT w.id, w.public_id, o.public_id FROM workspace w JOIN organization o ON o.id = w.org_id "
                 "WHERE w.state = 'active' ORDER BY w.id"));
    while (db_next(&rows, &one.workspace, &one.workspace_id, &one.org_id)) *VEC_PUSH(run->arena, list) = one;
    return db_done(&rows);
}

struct err *for_each_workspace(struct flow_run *run, db_write_fn fn, int64_t *done)
{
    upkeep_list list = {0};
    *done = 0;
    TRY(list_workspaces(run, &list));
    for (size_t i = 0; i < list.n; i++) {
        do {
            if (flow_should_stop(run)) return err_new(run->arena, ERR_CANCELLED, "stopped");
            TRY(db_write(run->db, run->arena, fn, &list.at[i]));
            list.at[i].after = list.at[i].reached;
            *done += list.at[i].done;
        } while (list.at[i].more);
    }
    return NULL;
}

struct outbox upkeep_outbox(struct db_tx *tx, const struct upkeep *upkeep)
{
    return (struct outbox){.db = tx->db,
                           .arena = tx->arena,
                           .workspace = upkeep->workspace,
                           .workspace_id = upkeep->workspace_id,
                           .org_id = upkeep->org_id};
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

struct closed_cluster {
    struct str xid, label, topics;
    int64_t    count;
};

static void tell_closed(struct outbox *outbox, const struct closed_cluster *cluster)
{
    static const char *const events[EVENTS_A_CLUSTER] = {"cluster.closed", "neural/cluster.check-summary"};
    for (size_t i = 0; i < EVENTS_A_CLUSTER; i++) { /* a summary once on closing */
        struct json_out out = outbox_begin(outbox);
        put_public(&out, "clusterId", "clu_", cluster->xid);
        json_put(&out, "topicLabel", cluster->label);
        json_put_raw(&out, "topics", cluster->topics);
        json_put(&out, "observationCount", cluster->count);
        outbox_add(outbox, events[i], &out);
    }
}
_Static_assert(FLOW_MAX_SEND / EVENTS_A_CLUSTER >= CLUSTERS_AT_ONCE, "the events of one transaction are sent at once");

/* Under the workspace's lock, like whoever joins a cluster. */
static struct err *close_idle(struct db_tx *tx, void *arg)
{
    struct upkeep        *upkeep = arg;
    struct index_writer   writer;
    struct outbox         outbox = upkeep_outbox(tx, upkeep);
    struct closed_cluster one;
    struct db_rows        rows;
    int64_t               now = time_now();
    upkeep->done = 0;
    TRY(index_writer_open(tx, upkeep->workspace, &writer));
    TRY(db_query(tx, &rows,
                 "UPDATE cluster SET status = 'closed', closed_at = $2 WHERE workspace_id = $1 AND id IN "
                 "(SELECT id FROM cluster WHERE workspace_id = $1 AND status = 'open' AND last_observation_at < $3 "
                 "ORDER BY id LIMIT $4) RETURNING xid, topic_label, key_topics, observation_count",
                 upkeep->workspace, now, now - DAYS(IDLE_DAYS), (int)CLUSTERS_AT_ONCE));
    for (; db_next(&rows, &one.xid, &one.label, &one.topics, &one.count); upkeep->done++) tell_closed(&outbox, &one);
    TRY(db_done(&rows));
    upkeep->more = upkeep->done == CLUSTERS_AT_ONCE;
    TRY(outbox_send(tx, &outbox));
    return index_writer_close(&writer);
}

static struct err *close_clusters(struct flow_run *run)
{
    int64_t closed;
    TRY(for_each_workspace(run, close_idle, &closed));
    flow_output(run, str_printf(run->arena, "{\"status\":\"success\",\"clustersClosed\":%lld}", (long long)closed));
    return NULL;
}

const struct flow_function memory_cluster_close = {
    .name = "neural.cluster.close",
    .cron = "@hourly",
    .run = close_clusters,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1}},
    .finish_within = 60 * 60000,
};
