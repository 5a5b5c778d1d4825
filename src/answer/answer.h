/* answer.h - questions answered from a workspace's memory, with numbered sources (spec/search-api.md 8).
 *
 * With a language model: it reads the memory through tools, for a bounded number of steps, tokens and time, and cites
 * what it read as [n]; a marker that no tool result has is taken out of its text. Without one, or when it fails: the
 * best sentences of the best results, quoted. Everything stays within the question's workspace.
 */
#pragma once
#include "flow/flow.h"
#include "llm/llm.h"
#include "org/org.h"
#include "search/search.h"

struct answer_config {
    struct db     *db;
    struct search *search;
    struct embed  *embed;
    struct llm    *llm; /* NULL, or one without a provider: answers are extractive */
};
/* One for the process; used by any number of threads. What the configuration names must outlive it. */
struct answer;
struct answer *answer_create(struct answer_config config);
void           answer_destroy(struct answer *answer); /* NULL is fine */

/* ---- a question -------------------------------------------------------------------------------------------------- */

enum { ANSWER_LONGEST_QUERY = 8000, ANSWER_MOST_SOURCES = 20, ANSWER_STEPS = 8 };

/* A use of a tool, told when it begins (ANSWER_RUNNING) and when it has ended. */
enum answer_state { ANSWER_RUNNING, ANSWER_DONE, ANSWER_FAILED };
struct answer_step {
    struct str        id;   /* of this use; "call_1" */
    const char       *tool; /* "workspaceSearch" */
    enum answer_state state;
    struct str        input;   /* JSON object */
    struct str        output;  /* JSON object; of an ended step */
    struct str        summary; /* "7 results"; what went wrong */
    int64_t           ms;
};

struct answer_citation {
    int        index; /* the n of [n] */
    struct str id, title, url, snippet, source, type;
    double     score; /* of the search that found it; < 0: it was reached otherwise */
    int64_t    occurred_at;
};

/* Who follows an answer while it is made; on the thread that asked. Every member but arg may be NULL. */
struct answer_listener {
    void *arg;
    void (*step)(void *arg, const struct answer_step *step);
    void (*thought)(void *arg, struct str text); /* what a model says beside the answer */
    /* The sources cited so far, one more than the last time; before the text that cites them. */
    void (*sources)(void *arg, const struct answer_citation *citations, size_t n);
    void (*text)(void *arg, struct str piece); /* the answer's text, verified; together it is answer_result.content */
    bool (*stopped)(void *arg);                /* nobody waits any more: stop as soon as possible */
};

struct answer_question {
    int64_t    workspace;              /* row id */
    struct str settings;               /* the workspace's, JSON: whether and which model is asked, its tokens a month */
    struct str query;                  /* 1 to ANSWER_LONGEST_QUERY characters, trimmed */
    const struct llm_message *history; /* what was said before, oldest first */
    size_t                    history_count;
    struct search_filters     filters; /* bound whatever a model searches */
    enum search_mode          mode;
    int                       most_sources; /* that are cited; 0: 8 */
    int64_t                   time_ms;      /* for all of it; 0: 60,000 */
    struct answer_listener    listener;
};

struct answer_result {
    struct str              content, rationale; /* rationale may be empty */
    struct answer_citation *citations;          /* by index; only what content cites */
    size_t                  citation_count;
    const char             *engine;     /* "llm", "extractive" */
    struct str              model;      /* empty: extractive */
    int                     steps;      /* questions put to the model */
    size_t                  considered; /* items that were looked at */
    struct llm_usage        usage;      /* also of a model that failed */
    struct {
        struct str *at;
        size_t      n, capacity;
    } warnings;
};

/* Errors: ERR_UNAVAILABLE when the workspace cannot be searched, ERR_CANCELLED when the listener stopped it. A model
 * that fails is no error. */
MUST_CHECK struct err *answer_ask(struct answer *answer, struct arena *arena, const struct answer_question *question,
                                  struct answer_result *result);

/* ---- conversations ----------------------------------------------------------------------------------------------- */

/* A session belongs to who began it, for an hour after its last use. */
struct answer_session {
    int64_t    workspace;
    struct str id;    /* answer_session_valid */
    struct str owner; /* public id of a key or user; empty: the operator */
};
bool answer_session_valid(struct str id); /* 1 to 64 of [A-Za-z0-9_-] */

/* Begin or go on: what was said before. Errors: ERR_FORBIDDEN for a session of someone else. */
MUST_CHECK struct err *answer_session_open(struct answer *answer, struct arena *arena, struct answer_session session,
                                           struct llm_message **history, size_t *n);
/* Is there one? Errors: ERR_NOT_FOUND, ERR_FORBIDDEN. */
MUST_CHECK struct err *answer_session_check(struct answer *answer, struct arena *arena, struct answer_session session);
/* Remember a question and its answer. What was said before it stands in `history` if the session has nothing yet. The
 * newest 20 messages are kept. Nothing happens if the session was forgotten meanwhile. */
struct answer_exchange {
    const struct llm_message *history;
    size_t                    history_count;
    struct str                question, content;
};
MUST_CHECK struct err *answer_session_add(struct answer *answer, struct arena *arena, struct answer_session session,
                                          struct answer_exchange exchange);
/* Errors: ERR_NOT_FOUND, ERR_FORBIDDEN. */
MUST_CHECK struct err *answer_session_forget(struct answer *answer, struct arena *arena, struct answer_session session);

/* What the engine runs: sessions past their time are deleted. No context. */
extern const struct flow_function *const answer_functions[];
extern const size_t                      answer_function_count;

/* The engine that a question asked now would get, and its model (empty: none). */
const char *answer_engine(const struct answer *answer, struct arena *arena, struct str settings, struct str *model);
