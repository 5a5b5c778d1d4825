/* inside.h - what the files of llm/ share among themselves. */
#pragma once
#include "llm/llm.h"

#include "net/net.h"

#include <pthread.h>
#include <stdatomic.h>

/* Options that a model may refuse and that a request can go without; learnt from the service's refusals. */
enum llm_option { LLM_NO_TEMPERATURE = 1, LLM_COMPLETION_TOKENS = 2, LLM_NO_STREAM_OPTIONS = 4, LLM_NO_TOOLS = 8 };

/* A request as the services see it. */
struct llm_request {
    const struct llm_call *call;
    struct str model;
    int64_t max_output_tokens;
    unsigned options; /* enum llm_option */
};

struct llm_stream;

/* One kind of service: where requests go, what they look like, where answers keep their parts. */
struct llm_service {
    const char *provider, *base_url, *path;
    const char *key_header, *key_prefix, *version_header, *version;
    void (*write)(struct json_out *out, const struct llm_request *request);
    bool (*read)(struct arena *arena, const json_value *root, struct llm_reply *reply); /* false: not an answer */
    void (*event)(struct llm_stream *stream, const json_value *event);                  /* of an answer in pieces */
    const char *input_tokens[3], *output_tokens; /* paths; input counts are added up */
};
const struct llm_service *llm_service_find(struct str provider); /* NULL if unknown */

struct llm {
    struct arena *arena;
    const struct llm_service *service; /* NULL: provider "none" */
    struct str url, key_value, models[LLM_TASKS];
    int64_t max_output_tokens, timeout_ms;
    double price_input, price_output;
    atomic_uint options[LLM_TASKS]; /* enum llm_option, by task as models differ by task */

    pthread_mutex_t lock; /* guards the two below */
    int failures;         /* calls in a row that failed */
    int64_t paused_until; /* ms; 0: not paused */
};

/* A use of a tool as the service names it; arguments: the text of its input. */
void llm_add_use(struct arena *arena, struct llm_reply *reply, struct str id, struct str name, struct str arguments);
/* Local servers pass a model's thinking on in front of its answer; drafts in it must not be taken for the answer. */
struct str llm_without_thinking(struct str text);

/* ---- stream.c: an answer in pieces, Server-Sent Events ------------------------------------------------------------- */

struct llm_stream {
    struct arena *arena, *scratch; /* scratch: of one event */
    const struct llm_service *service;
    struct llm_listener listener;
    struct buf line, data, text;
    size_t told;    /* bytes of text that the listener has heard */
    bool whole;     /* not a stream: the service answers in one, in `data` */
    bool begun, ended, cut;
    struct { int64_t at; struct str id, name; struct buf arguments; } uses[LLM_MAX_USES];
    size_t use_count;
    struct str model;
    bool failed;             /* the service told of an error in its midst */
    int64_t input_tokens, output_tokens;
};
struct llm_stream llm_stream_begin(struct arena *arena, const struct llm_service *service, struct llm_listener listener);
bool llm_stream_piece(void *stream, struct str text); /* as net_call.piece */
/* True: a complete answer, now in reply. */
bool llm_stream_end(struct llm_stream *stream, struct llm_reply *reply);
void llm_stream_free(struct llm_stream *stream);

/* For the services: what an event says. */
void llm_stream_text(struct llm_stream *stream, struct str text);
/* The use at a position of the answer; its id and name come once, its arguments in parts. */
void llm_stream_use(struct llm_stream *stream, int64_t at, struct str id, struct str name, struct str arguments);
void llm_stream_usage(struct llm_stream *stream, const json_value *root);
int64_t llm_token_count(const json_value *root, const char *path);

/* The first balanced JSON object in a text, or NULL. */
const json_value *llm_first_object(struct arena *arena, struct str text);

/* ---- prompts: data between marks that cannot be guessed ---------------------------------------------------------- */

struct llm_prompt {
    struct buf text;
    char mark[16];
};
/* Begins with `task` and the opening mark; llm_prompt_end closes and repeats what is to be answered. */
struct llm_prompt llm_prompt_begin(struct arena *arena, struct str task);
void llm_prompt_field(struct llm_prompt *prompt, const char *name, struct str text);
struct str llm_prompt_end(struct llm_prompt *prompt);

/* One question: instructions with the rules about data behind them, one user message. */
struct llm_question {
    enum llm_task task;
    double temperature;
    struct str instructions, message;
    struct llm_terms terms;
};
struct err *llm_question(struct llm *llm, struct arena *arena, const struct llm_question *question,
                         const json_value **object, struct llm_usage *usage);

/* ---- answers, read tolerantly ------------------------------------------------------------------------------------ */

/* A string as one clean line of at most n characters; empty unless a string. */
struct str llm_line(struct arena *arena, const json_value *value, size_t n);
double llm_confidence(const json_value *value); /* 0-1, a number or a number as text; 0.5 if it is neither */

/* Different non-empty lines of an array, or the one line of a string: at most `most`, each of at most n characters. */
size_t llm_lines(struct arena *arena, const json_value *value, size_t n, struct str *lines, size_t most);
