/* functions_profiles.c - profiles of people, computed again when an actor has been quiet for five minutes. */
#include "memory/announce.h"

struct profile_run {
    struct flow_run *run;
    struct memory   *memory;
};

static struct err *put_profile(struct db_tx *tx, struct flow_run *run, struct str actor)
{
    struct db_rows rows;
    int64_t        count = 0, first = 0;
    TRY(db_query(
        tx, &rows,
        "SELECT observation_count, first_active_at FROM actor_profile WHERE workspace_id = $1 AND actor_id = $2",
        run->workspace, actor));
    bool found = db_next(&rows, &count, &first);
    TRY(db_done(&rows));
    struct json_out out = json_out(run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "actorId", actor);
    json_put(&out, "observationCount", count);
    json_put_bool(&out, "isNewProfile", found && count == 1);
    json_end(&out);
    flow_output(run, json_out_text(&out));
    return NULL;
}

/* Whichever actor's quiet time is over, all that changed are computed: together they cost two passes. */
static struct err *write_profiles(struct db_tx *tx, void *arg)
{
    struct profile_run *profile = arg;
    TRY(memory_settle(profile->memory, tx, profile->run->workspace));
    TRY(put_profile(tx, profile->run, json_str(flow_data(profile->run), "actorId")));
    return flow_complete_in(profile->run, tx);
}

static void set_input(struct flow_run *run)
{
    struct json_out out = json_out(run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "actorId", json_str(flow_data(run), "actorId"));
    json_put(&out, "observationId", json_str(flow_data(run), "observationId"));
    json_end(&out);
    flow_input(run, json_out_text(&out));
}

static struct err *update_profile(struct flow_run *run)
{
    struct profile_run profile = {run, run->context};
    set_input(run);
    struct err *err = db_write(run->db, run->arena, write_profiles, &profile);
    return err ? job_failed(run, "actorId", json_str(flow_data(run), "actorId"), err) : NULL;
}

const struct flow_function memory_profile_update = {
    .name = "neural.profile.update",
    .on = "neural/profile.update",
    .run = update_profile,
    .retries = 2,
    .title = "'Update profile: ' + actorId",
    .concurrency = {{.limit = 5, .key = "workspace"}},
    .debounce = {.period = 5 * 60000, .key = "actorId"},
    .start_within = 30000,
    .finish_within = 2 * 60000,
    .on_failure = log_failure,
};
