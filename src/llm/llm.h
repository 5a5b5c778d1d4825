/* llm.h - language models behind HTTP: Anthropic Messages and OpenAI-compatible chat, and the structured questions that
 * the observation pipeline asks them (spec/pipeline.md 5, 6, 9).
 *
 * Nothing here is needed for Lightfast to work: whoever calls has an answer of its own for every error. A call blocks;
 * it is made from workers, outside transactions. The API key appears in no log, error or answer.
 */
#pragma once
#include "db/db.h"
#include "json/json.h"
#include "text/text.h"

enum llm_task { LLM_CLASSIFICATION, LLM_ENTITIES, LLM_SUMMARY, LLM_RELATIONSHIPS, LLM_RERANK, LLM_ANSWER, LLM_TASKS };
const char *llm_task_name(enum llm_task task); /* "classification" */

struct llm_config {
    struct str provider;              /* "none", "anthropic", "openai" */
    struct str base_url, api_key;     /* base_url: empty = the provider's own */
    struct str models[LLM_TASKS];     /* empty: model */
    struct str model;                 /* of tasks that have none of their own */
    int64_t max_output_tokens;        /* 0: 1024 */
    int64_t timeout_ms;               /* of a call with its retry; answers have three times as long. 0: 20,000 */
    double price_input, price_output; /* USD per million tokens */
};

/* One for the process; used by any number of threads. */
struct llm;
/* Errors: ERR_INVALID for an unknown provider or missing settings. */
MUST_CHECK struct err *llm_create(struct arena *arena, struct llm_config config, struct llm **llm);
void llm_destroy(struct llm *llm);       /* NULL is fine */
bool llm_enabled(const struct llm *llm); /* false for NULL and for provider "none" */
bool llm_available(struct llm *llm);     /* enabled, and not paused after failures */
struct str llm_provider(const struct llm *llm); /* "anthropic"; "none" */
struct str llm_model(const struct llm *llm, enum llm_task task);
/* False once the service has refused a call because of its tools: send none then. */
bool llm_takes_tools(const struct llm *llm, enum llm_task task);

/* What calls cost, counted also when they fail: every call adds to it. */
struct llm_usage {
    int64_t input_tokens, output_tokens;
    double cost; /* USD, by the configured prices */
};

/* Whoever pays is asked before each request is sent: tokens is what this call has used so far plus the most that the
 * request can use. An error of check ends the call with that error. check NULL: no limit. */
struct llm_budget {
    struct err *(*check)(void *arg, struct arena *arena, int64_t tokens);
    void *arg;
};

/* ---- what workspaces use: table llm_usage ------------------------------------------------------------------------ */

/* Add a call to the month's counts; does nothing for a call that cost nothing. */
MUST_CHECK struct err *llm_usage_record(struct db *db, struct arena *arena, int64_t workspace, enum llm_task task,
                                        const struct llm_usage *usage);
/* Of the current month, UTC. */
MUST_CHECK struct err *llm_usage_month(struct db_tx *tx, int64_t workspace, struct llm_usage *usage);

/* A workspace's tokens a month, as a budget: calls are refused (ERR_RATE_LIMITED) when they may exceed it. */
struct llm_allowance {
    struct db *db;
    int64_t workspace, monthly_tokens; /* 0: no limit */
};
struct llm_budget llm_budget_of(struct llm_allowance *allowance); /* which must live as long */

/* What a workspace's settings (console.md 1.3, member llm) say of a task. The server has the key of one provider: a
 * workspace may choose among its models, or do without. Texts point into the settings. */
struct llm_choice {
    bool on;
    struct str model;       /* empty: the server's */
    int64_t monthly_tokens; /* 0: no limit */
};
struct llm_choice llm_choice_of(const struct llm *llm, const json_value *settings, enum llm_task task);

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* A function that the model may call; the caller runs it and sends its result in the next message. */
struct llm_tool {
    const char *name, *description;
    struct str schema; /* JSON Schema of its input, an object */
};
struct llm_use {
    struct str id, name;
    struct str input; /* JSON object; {NULL, 0}: what the model wrote is none */
};
struct llm_result {
    struct str use;    /* id of the llm_use */
    struct str output; /* any text */
    bool failed;
};

struct llm_message {
    enum { LLM_USER, LLM_ASSISTANT } role;
    struct str text;               /* may be empty beside uses or results */
    const struct llm_use *uses;    /* of the assistant */
    size_t use_count;
    const struct llm_result *results; /* of the user: one for each use of the message before */
    size_t result_count;
};

/* Who hears an answer while it comes, on a thread of the HTTP client; must be quick. */
struct llm_listener {
    void *arg;
    void (*text)(void *arg, struct str piece); /* NULL: the answer comes in one */
    bool (*stopped)(void *arg);                /* true ends the call: ERR_CANCELLED. NULL: never */
};

struct llm_call {
    enum llm_task task;
    struct str model; /* empty: the setting's for the task */
    double temperature;
    struct str instructions; /* the system's part */
    const struct llm_message *messages;
    size_t message_count;
    int64_t max_output_tokens; /* 0: the setting */
    int64_t timeout_ms;        /* if shorter than the task's; 0: that */
    const struct llm_tool *tools;
    size_t tool_count;
    bool conclude; /* the tools stay named, but the model is to answer without another use */
    struct llm_budget budget;
    struct llm_listener listener;
};

enum { LLM_MAX_USES = 16 };
struct llm_reply {
    struct str text;
    struct llm_use uses[LLM_MAX_USES]; /* what the model wants to be run; those past the bound are left out */
    size_t use_count;
    struct str model; /* as the service names it */
    bool cut;         /* it ended at the output limit */
};

/* Ask and wait. One retry on 429, 5xx and unreadable answers, within the timeout; after 5 calls in a row that failed,
 * none is made for 60 s, then one tries. Errors: ERR_UNAVAILABLE (no model configured, paused, the service is down or
 * answers nonsense), ERR_TIMEOUT, ERR_INVALID (the service refuses the request), ERR_CANCELLED (by the listener), those
 * of the budget's check. Nothing is asked again once the listener has heard text. */
MUST_CHECK struct err *llm_ask(struct llm *llm, struct arena *arena, const struct llm_call *call,
                               struct llm_reply *reply, struct llm_usage *usage);

/* The same for an answer that must hold a JSON object: the first balanced one in the reply, code fences allowed. A
 * reply without one is asked for again once, then ERR_UNAVAILABLE. */
MUST_CHECK struct err *llm_ask_json(struct llm *llm, struct arena *arena, const struct llm_call *call,
                                    const json_value **object, struct llm_usage *usage);

/* ---- what the pipeline asks ---------------------------------------------------------------------------------------
 *
 * Event text is data: it stands between marks that are made anew for each request and cannot be guessed, and the
 * instructions say that nothing in it is addressed to the model. Answers are read tolerantly: what is too long is cut,
 * what is of no use is left out, and only an answer without its one necessary part is an error (ERR_UNAVAILABLE). */

/* Which model is asked, what the question may cost, and who may stop waiting for the answer (ERR_CANCELLED). */
struct llm_terms {
    struct llm_budget budget;
    struct str model;           /* empty: the setting's for the task */
    bool (*stopped)(void *arg); /* asked several times a second; NULL: nobody */
    void *arg;
};

struct llm_event {
    struct str source, source_type, title, body;
};

enum { LLM_MAX_SECONDARY = 3, LLM_MAX_TOPICS = 5 };
struct llm_classification {
    enum text_category primary;
    enum text_category secondary[LLM_MAX_SECONDARY];
    size_t secondary_count;
    struct str topics[LLM_MAX_TOPICS]; /* lower-case, at most 64 characters each */
    size_t topic_count;
    double confidence;    /* 0-1; 0.5 if the model gave none */
    struct str reasoning; /* at most 200 characters; may be empty */
};
MUST_CHECK struct err *llm_classify(struct llm *llm, struct arena *arena, const struct llm_event *event,
                                    struct llm_terms terms, struct llm_classification *result,
                                    struct llm_usage *usage);

/* As JSON, to be remembered, and back: reading is as tolerant as it is with a model's answer. */
void llm_classification_write(struct json_out *out, const struct llm_classification *classification);
MUST_CHECK struct err *llm_classification_read(struct arena *arena, const json_value *value,
                                               struct llm_classification *classification);

/* Whose category counts: the rules' where the model is unsure (below 0.6) and the rules found one. */
enum text_category llm_primary(const struct llm_classification *classification, enum text_category rules);

/* Bodies of fewer characters are not worth asking about: the caller's check. */
enum { LLM_ENTITIES_LEAST_BODY = 200, LLM_MAX_ENTITIES = 15 };
struct llm_entity {
    enum text_entity_category category;
    struct str key, value; /* at most 500 characters; value {NULL, 0} if none */
    double confidence;     /* at least 0.65 */
    struct str evidence;   /* the model's reasoning, else "LLM extracted: service" */
};
struct llm_entities {
    struct llm_entity at[LLM_MAX_ENTITIES]; /* in the model's order; one for each category and key */
    size_t n;
};
/* As JSON, to be remembered, and back; what is read was an answer before: it is not compared with the text again. */
void llm_entities_write(struct json_out *out, const struct llm_entities *entities);
MUST_CHECK struct err *llm_entities_read(struct arena *arena, const json_value *value, struct llm_entities *entities);
/* Only entities of which the text has a word. */
MUST_CHECK struct err *llm_entities(struct llm *llm, struct arena *arena, struct str title, struct str body,
                                    struct llm_terms terms, struct llm_entities *result, struct llm_usage *usage);

struct llm_member {
    struct str type, title, actor, body;
    int64_t occurred_at; /* ms */
};
enum { LLM_MAX_MEMBERS = 20, LLM_MAX_KEYS = 5 };
struct llm_cluster {
    struct str label;
    const struct llm_member *members; /* newest first; those past LLM_MAX_MEMBERS are not sent */
    size_t member_count;
};
struct llm_summary {
    struct str text;                                             /* at most 500 characters */
    struct str topics[LLM_MAX_KEYS], contributors[LLM_MAX_KEYS]; /* at most 100 characters each */
    size_t topic_count, contributor_count;
    const char *status; /* "active", "completed", "stalled"; NULL if the model said none of them */
};
void llm_summary_write(struct json_out *out, const struct llm_summary *summary);
MUST_CHECK struct err *llm_summary_read(struct arena *arena, const json_value *value, struct llm_summary *summary);
MUST_CHECK struct err *llm_summarise(struct llm *llm, struct arena *arena, const struct llm_cluster *cluster,
                                     struct llm_terms terms, struct llm_summary *result, struct llm_usage *usage);
