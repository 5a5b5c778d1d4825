/* summarise.c - what a cluster of observations is about and where it stands, by a model (spec/pipeline.md 9). */
#include "llm/inside.h"

#include "base/time.h"
#include "base/utf8.h"

enum { BODY_SENT = 200, TITLE_SENT = 200, NAME_SENT = 100, LONGEST_SUMMARY = 500, LONGEST_KEY = 100 };
#define TEMPERATURE 0.3

static const char *const statuses[] = {"active", "completed", "stalled"};

#define INSTRUCTIONS                                                                                                   \
    "You summarise a group of events of a software team that belong to one topic. They come newest first.\n\n"         \
    "Rules:\n"                                                                                                         \
    "- summary: what happened and where it stands, in at most 500 characters, only from what the events say\n"         \
    "- keyTopics: at most 5 short phrases, the one that names the whole group first\n"                                 \
    "- keyContributors: at most 5 names of people, as the events write them\n"                                         \
    "- status: active (work goes on), completed (merged, closed, resolved or released) or stalled (nothing moves)\n\n" \
    "Form: {\"summary\": \"...\", \"keyTopics\": [\"...\"], \"keyContributors\": [\"...\"], \"status\": \"active\"}"

static struct str message(struct arena *arena, const struct llm_cluster *cluster)
{
    struct llm_prompt prompt = llm_prompt_begin(arena, STR("Summarise these events."));
    llm_prompt_field(&prompt, "topic", utf8_head(cluster->label, NAME_SENT));
    for (size_t i = 0; i < cluster->member_count && i < LLM_MAX_MEMBERS; i++) {
        const struct llm_member *member = &cluster->members[i];
        buf_printf(&prompt.text, "\nevent %zu\n", i + 1);
        llm_prompt_field(&prompt, "type", utf8_head(member->type, NAME_SENT));
        llm_prompt_field(&prompt, "title", utf8_head(member->title, TITLE_SENT));
        if (member->actor.n) llm_prompt_field(&prompt, "actor", utf8_head(member->actor, NAME_SENT));
        llm_prompt_field(&prompt, "date", str_slice(time_format(arena, member->occurred_at), 0, strlen("2026-02-03")));
        llm_prompt_field(&prompt, "text", utf8_head(member->body, BODY_SENT));
    }
    return llm_prompt_end(&prompt);
}

static const char *read_status(struct arena *arena, const json_value *value)
{
    struct str status = llm_line(arena, value, LONGEST_KEY);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (str_eq_nocase(status, str_of(statuses[i]))) return statuses[i];
    return NULL;
}

struct err *llm_summary_read(struct arena *arena, const json_value *answer, struct llm_summary *result)
{
    *result = (struct llm_summary){
        .text = llm_line(arena, json_get(answer, "summary"), LONGEST_SUMMARY),
        .status = read_status(arena, json_get(answer, "status")),
    };
    if (!result->text.n) return err_new(arena, ERR_UNAVAILABLE, "the language model's answer holds no summary");
    result->topic_count = llm_lines(arena, json_get(answer, "keyTopics"), LONGEST_KEY, result->topics, LLM_MAX_KEYS);
    result->contributor_count =
        llm_lines(arena, json_get(answer, "keyContributors"), LONGEST_KEY, result->contributors, LLM_MAX_KEYS);
    return NULL;
}

void llm_summary_write(struct json_out *out, const struct llm_summary *summary)
{
    json_begin(out, NULL, '{');
    json_put(out, "summary", summary->text);
    json_put_texts(out, "keyTopics", summary->topics, summary->topic_count);
    json_put_texts(out, "keyContributors", summary->contributors, summary->contributor_count);
    if (summary->status) json_put(out, "status", summary->status);
    json_end(out);
}

struct err *llm_summarise(struct llm *llm, struct arena *arena, const struct llm_cluster *cluster,
                          struct llm_terms terms, struct llm_summary *result, struct llm_usage *usage)
{
    const json_value *answer;
    struct llm_question question = {
        .task = LLM_SUMMARY,
        .temperature = TEMPERATURE,
        .instructions = STR(INSTRUCTIONS),
        .message = message(arena, cluster),
        .terms = terms,
    };
    TRY(llm_question(llm, arena, &question, &answer, usage));
    return llm_summary_read(arena, answer, result);
}
