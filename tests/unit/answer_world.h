/* answer_world.h - a workspace with a story, another one without, and whoever answers questions about them. */
#pragma once
#include "answer/parts.h"
#include "llm_service.h"
#include "memory_world.h"

struct asker {
    struct world   world;
    struct search *search;
    struct answer *answer;
    int64_t        other; /* another workspace */
    struct service service;
    struct llm    *llm;    /* NULL: none */
    bool           silent; /* the service has ended */
};

/* No more answers of the model; what it saw may be read. */
static inline void end_model(struct asker *asker)
{
    if (asker->llm && !asker->silent) service_stop(&asker->service);
    asker->silent = true;
}

static inline void asker_end(struct asker *asker)
{
    end_model(asker);
    if (asker->llm) service_free(&asker->service);
    answer_destroy(asker->answer);
    llm_destroy(asker->llm);
    search_destroy(asker->search);
    world_end(&asker->world);
}

static inline void asker_begin(struct asker *asker, struct arena *arena)
{
    asker->world = world_begin(arena);
    struct world *world = &asker->world;
    asker->other = add_workspace(world->db, arena, "other");
    asker->search = search_create(world->db, world->memory.embed, (struct search_config){.memory_limit = 64 << 20});
    asker->answer = answer_create((struct answer_config){world->db, asker->search, world->memory.embed, NULL});
}
#define ASKER(name)                                                                                                    \
    struct asker name __attribute__((cleanup(asker_end))) = {0};                                                       \
    asker_begin(&name, arena)

static const struct short_event story[] = {
    {.type = "pull-request.merged",
     .id = "pr:acme/api#87:merged",
     .title = "[PR Merged] Raise session timeout to 30 minutes",
     .body =
         "Raise session timeout to 30 minutes\n\nUsers were signed out after 5 minutes. The session timeout is now\n"
         "configurable, and its default is 30 minutes. Nobody liked the old one.\n\nSigned-off-by: Ada "
         "<ada@example.com>\n",
     .actor = "github:1",
     .name = "Ada",
     .day = 10},
    {.type = "pull-request.merged",
     .id = "pr:acme/api#61:merged",
     .title = "[PR Merged] Rotate refresh tokens",
     .body = "Rotate refresh tokens\n\nA stolen refresh token dies at its second use.",
     .actor = "github:2",
     .name = "Grace",
     .day = 20},
    {.id = "push:acme/api:1",
     .title = "[Push] Prepare the release",
     .body = "Prepare the release",
     .actor = "github:2",
     .day = 30},
};

static inline void remember(struct asker *asker, const struct short_event *events, size_t n)
{
    capture_all(&asker->world, SOURCE_MANUAL, events, n);
}

static inline struct answer_result put(struct asker *asker, struct answer_question question)
{
    struct answer_result result;
    if (!question.workspace) question.workspace = asker->world.workspace;
    check_ok(answer_ask(asker->answer, asker->world.arena, &question, &result));
    return result;
}

static inline struct answer_result put_query(struct asker *asker, const char *query)
{
    return put(asker, (struct answer_question){.query = str_of(query)});
}

static inline bool says(struct answer_result result, const char *text)
{
    return str_find(result.content, str_of(text), 0) != SIZE_MAX;
}

/* ---- the model ----------------------------------------------------------------------------------------------------------- */

/* Begin the service after its script is written. */
static inline void begin_model(struct asker *asker, const char *provider)
{
    struct world *world = &asker->world;
    service_start(&asker->service);
    struct llm_config config = config_of(&asker->service, provider);
    config.timeout_ms = 2000;
    asker->llm = client_of(world->arena, config);
    answer_destroy(asker->answer);
    asker->answer = answer_create((struct answer_config){world->db, asker->search, world->memory.embed, asker->llm});
}

#define SEARCH_TIMEOUT "{\"query\":\"session timeout\"}"

static inline void says_use(struct asker *asker, const char *tool, const char *input)
{
    say(&asker->service, 200, anthropic_use(asker->world.arena, "", "toolu_1", tool, input));
}

static inline void says_text(struct asker *asker, const char *text)
{
    say(&asker->service, 200, anthropic_reply(asker->world.arena, text));
}

/* The text of what the n-th request to the model holds. */
static inline struct str request(struct asker *asker, size_t n)
{
    end_model(asker);
    check(asker->service.problem == NULL);
    return json_text(asker->world.arena, asker->service.seen[n].body);
}

static inline bool warned(struct answer_result result, const char *text)
{
    for (size_t i = 0; i < result.warnings.n; i++)
        if (str_find(result.warnings.at[i], str_of(text), 0) != SIZE_MAX) return true;
    return false;
}
