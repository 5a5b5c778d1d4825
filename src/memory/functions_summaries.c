/* functions_summaries.c - what a cluster is about and where it stands, by a model or by a template (pipeline.md 9).
 *
 * Asked for by every capture that joins the cluster and once when it closes; ten quiet minutes later the rows decide
 * whether a summary is due. A model that fails for good leaves its error in the job, and the template's text instead.
 */
#include "memory/summary.h"

struct summary_run {
    struct flow_run     *run;
    struct memory       *memory;
    struct str           public_id; /* "clu_..." */
    struct model_rules   rules;
    struct cluster_facts facts;
};

static struct err *read_cluster(struct summary_run *s)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(s->memory->db, s->run->arena, &tx));
    TRY(models_rules(tx, s->memory, s->run->workspace, &s->rules));
    return cluster_facts_read(tx, s->run->workspace, public_xid(s->public_id, "clu_"), &s->facts);
}

static struct err *ask_model(struct flow_run *run, void *arg, struct str *answer)
{
    struct summary_run *s = arg;
    struct llm_usage    usage = {0};
    struct llm_summary  summary;
    struct llm_member   members[LLM_MAX_MEMBERS];
    struct llm_cluster  cluster = {.label = s->facts.label, .members = members};
    TRY(models_wait(run, s->memory));
    for (; cluster.member_count < s->facts.member_count && cluster.member_count < LLM_MAX_MEMBERS;
         cluster.member_count++)
        members[cluster.member_count] = s->facts.members[cluster.member_count].shown;
    struct err *err = llm_summarise(s->memory->llm, run->arena, &cluster,
                                    models_terms(run, s->memory, &s->rules, LLM_SUMMARY), &summary, &usage);
    models_used(run, s->memory, &s->rules, LLM_SUMMARY, &usage);
    if (err) return models_failed(run, err);
    struct json_out out = json_out(run->arena);
    llm_summary_write(&out, &summary);
    *answer = json_out_text(&out);
    return NULL;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct writing {
    struct summary_run *of;
    struct llm_summary  summary;
};

static void tell_summarized(struct outbox *outbox, const struct summary_run *s, const struct llm_summary *summary)
{
    struct json_out out = outbox_begin(outbox);
    json_put(&out, "clusterId", s->public_id);
    json_put(&out, "topicLabel", summary->topic_count ? summary->topics[0] : s->facts.label);
    json_put_raw(&out, "topics", memory_json_list(outbox->arena, summary->topics, summary->topic_count));
    json_put(&out, "observationCount", s->facts.count);
    outbox_add(outbox, "cluster.summarized", &out);
}

static struct str success_output(const struct summary_run *s, const struct llm_summary *summary)
{
    struct json_out out = json_out(s->run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "clusterId", s->public_id);
    json_put_bool(&out, "summaryGenerated", true);
    json_put_raw(&out, "keyTopics", memory_json_list(s->run->arena, summary->topics, summary->topic_count));
    json_end(&out);
    return json_out_text(&out);
}

static struct err *write_summary(struct db_tx *tx, void *arg)
{
    struct writing     *writing = arg;
    struct summary_run *s = writing->of;
    struct outbox       outbox;
    TRY(outbox_open(tx, s->run->workspace, tx->arena, &outbox));
    TRY(cluster_summary_write(tx, s->run->workspace, s->facts.id, &writing->summary));
    tell_summarized(&outbox, s, &writing->summary);
    TRY(outbox_send(tx, &outbox));
    flow_output(s->run, success_output(s, &writing->summary));
    return flow_complete_in(s->run, tx);
}

/* What the model left out the template fills in. */
static struct err *take_answer(struct summary_run *s, struct str answer, struct llm_summary *summary)
{
    const json_value  *json;
    struct llm_summary said;
    TRY(json_parse(s->run->arena, answer, &json));
    TRY(llm_summary_read(s->run->arena, json, &said));
    if (!said.topic_count) {
        memcpy(said.topics, summary->topics, sizeof said.topics);
        said.topic_count = summary->topic_count;
    }
    if (!said.contributor_count) {
        memcpy(said.contributors, summary->contributors, sizeof said.contributors);
        said.contributor_count = summary->contributor_count;
    }
    if (!said.status) said.status = summary->status;
    *summary = said;
    return NULL;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void set_input(struct summary_run *s)
{
    struct json_out out = json_out(s->run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "clusterId", s->public_id);
    json_put(&out, "observationCount", s->facts.count);
    json_end(&out);
    flow_input(s->run, json_out_text(&out));
}

static struct err *summarise_cluster(struct summary_run *s, bool by_model)
{
    struct writing writing = {.of = s};
    struct str     answer;
    TRY(read_cluster(s));
    set_input(s);
    const char *skipped = cluster_summary_needless(&s->facts, time_now());
    if (skipped) {
        flow_output(s->run, job_output(s->run->arena, "skipped", "clusterId", s->public_id, str_of(skipped)));
        return NULL;
    }
    cluster_summary_template(s->run->arena, &s->facts, time_now(), &writing.summary);
    if (by_model && s->rules.on && (!s->facts.history || s->rules.history)) {
        TRY(flow_step(s->run, "ask", ask_model, s, &answer));
        TRY(take_answer(s, answer, &writing.summary));
    }
    return db_write(s->memory->db, s->run->arena, write_summary, &writing);
}

static struct err *summarise(struct flow_run *run)
{
    struct summary_run s = {.run = run, .memory = run->context, .public_id = json_str(flow_data(run), "clusterId")};
    struct err        *err = summarise_cluster(&s, true);
    return err ? job_failed(run, "clusterId", s.public_id, err) : NULL;
}

static struct err *summarise_without_model(struct flow_run *run)
{
    struct summary_run s = {
        .run = run, .memory = run->context, .public_id = json_str(flow_data(run), "event.data.clusterId")};
    TRY(log_failure(run));
    return summarise_cluster(&s, false);
}

const struct flow_function memory_cluster_summary = {
    .name = "neural.cluster.summary",
    .on = "neural/cluster.check-summary",
    .run = summarise,
    .retries = 2,
    .title = "'Cluster summary: ' + clusterId",
    .concurrency = {{.limit = 3, .key = "workspace"}},
    .debounce = {.period = 10 * 60000, .key = "clusterId"},
    .start_within = 30000,
    .finish_within = 3 * 60000,
    .on_failure = summarise_without_model,
};
