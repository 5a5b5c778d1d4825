/* client.c - one call to a language model: its request, its retry, its cost, and the pause after failures in a row. */
#include "llm/inside.h"

#include "base/time.h"

#include <stdlib.h>
#include <time.h>

enum {
    ATTEMPTS = 2,
    DEFAULT_OUTPUT_TOKENS = 1024,
    ANSWER_TIMES = 3, /* an answer to a person may take as many times the timeout */
    FAILURES_BEFORE_PAUSE = 5,
    BYTES_OF_A_TOKEN = 3, /* on the safe side: English has about four */
    MAX_REPLY = 4 << 20,
    MAX_REFUSAL_NAME = 40,
};
#define DEFAULT_TIMEOUT      SECONDS(20)
#define PAUSE_AFTER_FAILURES SECONDS(60)
#define PAUSE_BEFORE_RETRY   250 /* ms, unless the service asks for longer */

static const char *const task_names[LLM_TASKS] = {"classification", "entities", "summary",
                                                  "relationships",  "rerank",   "answer"};

const char *llm_task_name(enum llm_task task)
{
    return task_names[task];
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static struct err *check_config(struct arena *arena, const struct llm_config *config, const struct llm_service *service)
{
    if (!service) return err_new(arena, ERR_INVALID, "llm.provider must be none, anthropic or openai");
    for (int i = 0; i < LLM_TASKS; i++)
        if (!config->models[i].n && !config->model.n)
            return err_new(arena, ERR_INVALID, "llm.provider %s needs llm.models.default or llm.models.%s",
                           service->provider, task_names[i]);
    if (!config->base_url.n && !config->api_key.n)
        return err_new(arena, ERR_INVALID, "llm.provider %s needs llm.api_key", service->provider);
    if (config->base_url.n && !str_starts_nocase(config->base_url, STR("http://")) &&
        !str_starts_nocase(config->base_url, STR("https://")))
        return err_new(arena, ERR_INVALID, "llm.base_url must begin with http:// or https://");
    if (!(config->price_input >= 0 && config->price_output >= 0))
        return err_new(arena, ERR_INVALID, "llm.prices must not be negative");
    return NULL;
}

/* A base that ends in the version already (".../v1") does not get it twice. */
static struct str endpoint(struct arena *arena, struct str base, struct str path)
{
    while (str_ends(base, STR("/"))) base.n--;
    if (str_ends(base, STR("/v1")) && str_starts(path, STR("/v1/"))) path = str_skip(path, strlen("/v1"));
    return str_printf(arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(path));
}

struct err *llm_create(struct arena *arena, struct llm_config config, struct llm **llm)
{
    bool none = !config.provider.n || str_eq(config.provider, STR("none"));
    const struct llm_service *service = none ? NULL : llm_service_find(config.provider);
    if (!none) TRY(check_config(arena, &config, service));

    struct llm *made = calloc(1, sizeof *made);
    if (!made) abort();
    made->arena = arena_create();
    made->service = service;
    pthread_mutex_init(&made->lock, NULL);
    if (service) {
        struct str base = config.base_url.n ? config.base_url : str_of(service->base_url);
        made->url = endpoint(made->arena, base, str_of(service->path));
        if (config.api_key.n)
            made->key_value = str_printf(made->arena, "%s" STR_FMT, service->key_prefix, STR_ARG(config.api_key));
    }
    for (int i = 0; i < LLM_TASKS; i++)
        made->models[i] = str_dup(made->arena, config.models[i].n ? config.models[i] : config.model);
    made->max_output_tokens = config.max_output_tokens > 0 ? config.max_output_tokens : DEFAULT_OUTPUT_TOKENS;
    made->timeout_ms = config.timeout_ms > 0 ? config.timeout_ms : DEFAULT_TIMEOUT;
    made->price_input = config.price_input;
    made->price_output = config.price_output;
    *llm = made;
    return NULL;
}

void llm_destroy(struct llm *llm)
{
    if (!llm) return;
    pthread_mutex_destroy(&llm->lock);
    arena_destroy(llm->arena);
    free(llm);
}

bool llm_enabled(const struct llm *llm)
{
    return llm && llm->service;
}

struct str llm_provider(const struct llm *llm)
{
    return llm_enabled(llm) ? str_of(llm->service->provider) : STR("none");
}

struct str llm_model(const struct llm *llm, enum llm_task task)
{
    return llm->models[task];
}

bool llm_takes_tools(const struct llm *llm, enum llm_task task)
{
    return !(atomic_load(&llm->options[task]) & LLM_NO_TOOLS);
}

/* ---- the pause after failures in a row --------------------------------------------------------------------------- */

/* Milliseconds left. A clock that was set back does not make it longer. */
static int64_t pause_left(const struct llm *llm)
{
    int64_t left = llm->paused_until - time_now();
    return left > 0 && left <= PAUSE_AFTER_FAILURES ? left : 0;
}

bool llm_available(struct llm *llm)
{
    if (!llm_enabled(llm)) return false;
    pthread_mutex_lock(&llm->lock);
    bool available = pause_left(llm) == 0;
    pthread_mutex_unlock(&llm->lock);
    return available;
}

/* May this call be made? After the pause one call tries, and the others go on waiting for its outcome. */
static struct err *enter(struct llm *llm, struct arena *arena)
{
    pthread_mutex_lock(&llm->lock);
    int64_t left = pause_left(llm);
    if (!left && llm->failures >= FAILURES_BEFORE_PAUSE) llm->paused_until = time_now() + PAUSE_AFTER_FAILURES;
    pthread_mutex_unlock(&llm->lock);
    if (!left) return NULL;
    return err_new(arena, ERR_UNAVAILABLE, "the language model is left alone for %lld s after %d failures in a row",
                   (long long)(left + 999) / 1000, FAILURES_BEFORE_PAUSE);
}

static void leave(struct llm *llm, bool succeeded)
{
    pthread_mutex_lock(&llm->lock);
    llm->failures = succeeded ? 0 : llm->failures + 1;
    llm->paused_until = llm->failures >= FAILURES_BEFORE_PAUSE ? time_now() + PAUSE_AFTER_FAILURES : 0;
    pthread_mutex_unlock(&llm->lock);
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

/* A call under way. */
struct asking {
    struct llm *llm;
    struct arena *arena;
    const struct llm_call *call;
    struct llm_reply *reply;
    const json_value **object; /* NULL: any text is an answer */
    struct llm_stream *stream;  /* of this attempt; NULL: the answer comes in one */
    bool lacks_tools;           /* the service refused them */
    bool heard;                 /* the listener has heard text: nothing may be asked again */
    struct llm_usage used;
    int64_t begun_us, timeout_ms;
    unsigned options; /* of the request that was sent last */
    bool again;       /* its failure is worth a retry */
    bool learnt;      /* the next request leaves out what was refused in it */
    int64_t pause;    /* ms before the retry */
};

static int64_t time_left(const struct asking *asking)
{
    return asking->timeout_ms - (time_monotonic_us() - asking->begun_us) / 1000;
}

static struct str model_of(const struct asking *asking)
{
    return asking->call->model.n ? asking->call->model : asking->llm->models[asking->call->task];
}

static struct str body_of(struct asking *asking)
{
    struct llm *llm = asking->llm;
    asking->options = atomic_load(&llm->options[asking->call->task]);
    struct llm_request request = {
        .call = asking->call,
        .model = model_of(asking),
        .max_output_tokens =
            asking->call->max_output_tokens > 0 ? asking->call->max_output_tokens : llm->max_output_tokens,
        .options = asking->options,
    };
    struct json_out out = json_out(asking->arena);
    json_begin(&out, NULL, '{');
    llm->service->write(&out, &request);
    json_end(&out);
    return json_out_text(&out);
}

static bool is_stopped(void *arg)
{
    const struct llm_listener *listener = &((struct asking *)arg)->call->listener;
    return listener->stopped && listener->stopped(listener->arg);
}

static bool take_piece(void *arg, struct str text)
{
    struct asking *asking = arg;
    return llm_stream_piece(asking->stream, text);
}

static struct err *send(struct asking *asking, struct str body, struct net_answer *answer)
{
    struct llm *llm = asking->llm;
    int64_t left = time_left(asking);
    struct net_call call = {
        .method = "POST",
        .url = llm->url,
        .headers = {{STR("Content-Type"), STR("application/json")}},
        .header_count = 1,
        .body = body,
        .timeout_ms = left > 1 ? left : 1,
        .max_reply = MAX_REPLY,
        .piece = asking->stream ? take_piece : NULL,
        .stopped = asking->call->listener.stopped ? is_stopped : NULL,
        .arg = asking,
    };
    if (llm->service->version_header)
        call.headers[call.header_count++] =
            (struct net_header){str_of(llm->service->version_header), str_of(llm->service->version)};
    if (llm->key_value.n)
        call.headers[call.header_count++] = (struct net_header){str_of(llm->service->key_header), llm->key_value};
    struct err *failed = net_http(asking->arena, &call, answer);
    if (failed && asking->stream && asking->stream->failed) return NULL; /* told by the service: read_stream says so */
    return failed ? err_wrap(asking->arena, failed, "the language model does not answer") : NULL;
}

static void add_usage(struct asking *asking, int64_t input, int64_t output)
{
    const struct llm *llm = asking->llm;
    asking->used.input_tokens += input;
    asking->used.output_tokens += output;
    asking->used.cost += ((double)input * llm->price_input + (double)output * llm->price_output) / 1e6;
}

static void count_usage(struct asking *asking, const json_value *root)
{
    const struct llm_service *service = asking->llm->service;
    int64_t input = 0;
    for (size_t i = 0; i < sizeof service->input_tokens / sizeof *service->input_tokens; i++)
        input += llm_token_count(root, service->input_tokens[i]);
    add_usage(asking, input, llm_token_count(root, service->output_tokens));
}

static struct err *nonsense(struct asking *asking, const char *what)
{
    asking->again = true;
    asking->pause = 0;
    return err_new(asking->arena, ERR_UNAVAILABLE, "the language model's answer %s", what);
}

static void name_model(struct asking *asking, struct str model)
{
    asking->reply->model = str_dup(asking->arena, model.n ? model : model_of(asking));
}

static struct err *read_answer(struct asking *asking, struct str body)
{
    const json_value *root;
    if (json_parse(asking->arena, body, &root)) return nonsense(asking, "is not JSON");
    count_usage(asking, root);
    *asking->reply = (struct llm_reply){0};
    if (!asking->llm->service->read(asking->arena, root, asking->reply)) return nonsense(asking, "holds no text");
    name_model(asking, json_str(root, "model"));
    if (!asking->object) return NULL;
    *asking->object = llm_first_object(asking->arena, asking->reply->text);
    return *asking->object ? NULL : nonsense(asking, "holds no JSON object");
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* Some models refuse what others need: the service's refusal names the option, and later requests go without it. */
static const struct {
    const char *mentioned;
    unsigned option;
} refusals[] = {
    {"max_completion_tokens", LLM_COMPLETION_TOKENS}, /* "Use 'max_completion_tokens' instead." */
    {"temperature", LLM_NO_TEMPERATURE},
    {"stream_options", LLM_NO_STREAM_OPTIONS},
};

static bool learn_from_refusal(struct asking *asking, const json_value *root)
{
    struct str message = json_str(root, "error.message");
    atomic_uint *options = &asking->llm->options[asking->call->task];
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (str_find(message, str_of(refusals[i].mentioned), 0) != SIZE_MAX &&
            !(asking->options & refusals[i].option)) {
            atomic_fetch_or(options, refusals[i].option);
            return true;
        }
    return false;
}

/* The service's name for its refusal, " (invalid_request_error)". Only a plain word: messages may quote the key. */
static struct str refusal_name(struct asking *asking, const json_value *root)
{
    struct str name = json_str(root, "error.type");
    if (!name.n || name.n > MAX_REFUSAL_NAME) return STR("");
    for (size_t i = 0; i < name.n; i++)
        if (!((name.s[i] >= 'a' && name.s[i] <= 'z') || name.s[i] == '_')) return STR("");
    if (str_find(asking->llm->key_value, name, 0) != SIZE_MAX) return STR("");
    return str_printf(asking->arena, " (" STR_FMT ")", STR_ARG(name));
}

/* Milliseconds that the service asks for, in seconds; a date or nothing: the usual pause. */
static int64_t pause_asked(struct str retry_after)
{
    int64_t seconds;
    if (!str_to_int(str_trim(retry_after), &seconds) || seconds <= 0) return PAUSE_BEFORE_RETRY;
    return seconds > HOURS(1) / 1000 ? HOURS(1) : SECONDS(seconds);
}

/* Servers say it in many ways and with many statuses, but name what they lack. */
static bool refuses_tools(struct asking *asking, const struct net_answer *answer)
{
    if (!asking->call->tool_count || answer->status == 429 || str_find(answer->body, STR("tool"), 0) == SIZE_MAX)
        return false;
    atomic_fetch_or(&asking->llm->options[asking->call->task], LLM_NO_TOOLS);
    asking->again = false;
    asking->lacks_tools = true;
    return true;
}

static struct err *refused(struct asking *asking, const struct net_answer *answer)
{
    if (refuses_tools(asking, answer))
        return err_new(asking->arena, ERR_INVALID, "the language model's service takes no tools (status %d)",
                       answer->status);
    const json_value *root = NULL;
    if (json_parse(asking->arena, answer->body, &root)) root = NULL;
    struct str name = refusal_name(asking, root);
    if (answer->status == 429 || answer->status >= 500) {
        asking->again = true;
        asking->pause = pause_asked(answer->retry_after);
        return err_new(asking->arena, ERR_UNAVAILABLE, "the language model's service answers with status %d" STR_FMT,
                       answer->status, STR_ARG(name));
    }
    asking->again = asking->learnt = answer->status == 400 && learn_from_refusal(asking, root);
    asking->pause = 0;
    return err_new(asking->arena, ERR_INVALID, "the language model's service refuses with status %d" STR_FMT,
                   answer->status, STR_ARG(name));
}

/* ---- an answer in pieces ----------------------------------------------------------------------------------------- */

static struct err *read_stream(struct asking *asking)
{
    struct llm_stream *stream = asking->stream;
    *asking->reply = (struct llm_reply){0};
    bool complete = llm_stream_end(stream, asking->reply);
    if (!complete) return nonsense(asking, stream->failed ? "broke off with an error" : "broke off");
    name_model(asking, stream->model);
    return NULL;
}

static struct err *attempt_stream(struct asking *asking, struct str body)
{
    struct net_answer answer = {.status = 200};
    struct llm_stream stream = llm_stream_begin(asking->arena, asking->llm->service, asking->call->listener);
    asking->stream = &stream;
    struct err *failed = send(asking, body, &answer);
    if (!failed && (answer.status < 200 || answer.status > 299)) failed = refused(asking, &answer);
    else if (!failed) failed = read_stream(asking);
    add_usage(asking, stream.input_tokens, stream.output_tokens);
    asking->heard |= stream.told > 0;
    asking->again = asking->again && !asking->heard;
    asking->stream = NULL;
    llm_stream_free(&stream);
    return failed;
}

/* ---- a call with its retry --------------------------------------------------------------------------------------- */

static struct err *attempt(struct asking *asking, struct str body)
{
    struct net_answer answer;
    asking->again = asking->learnt = false;
    if (asking->call->listener.text) return attempt_stream(asking, body);
    TRY(send(asking, body, &answer));
    if (answer.status < 200 || answer.status > 299) return refused(asking, &answer);
    return read_answer(asking, answer.body);
}

static struct err *check_budget(struct asking *asking, struct str body)
{
    const struct llm_call *call = asking->call;
    if (!call->budget.check) return NULL;
    int64_t output = call->max_output_tokens > 0 ? call->max_output_tokens : asking->llm->max_output_tokens;
    int64_t used = asking->used.input_tokens + asking->used.output_tokens;
    return call->budget.check(call->budget.arg, asking->arena, used + (int64_t)(body.n / BYTES_OF_A_TOKEN) + output);
}

/* In small steps, so that whoever stops the call need not wait for it. */
static void wait_ms(struct asking *asking, int64_t ms)
{
    enum { STEP = 100 };
    for (int64_t left = ms; left > 0 && !is_stopped(asking); left -= STEP) {
        struct timespec part = {.tv_nsec = (long)(left < STEP ? left : STEP) * 1000000};
        while (nanosleep(&part, &part) != 0) {
        }
    }
}

/* What follows a refusal that taught something is another request, not a retry; there are as many as options. */
static struct err *attempts(struct asking *asking, struct str body)
{
    for (int attempts_left = ATTEMPTS;;) {
        struct err *failed = attempt(asking, body);
        if (!failed || !asking->again) return failed;
        if (!asking->learnt) attempts_left--;
        if (!attempts_left || asking->pause >= time_left(asking)) return failed;
        body = body_of(asking);
        if (check_budget(asking, body)) return failed;
        wait_ms(asking, asking->pause);
    }
}

static struct err *ask(struct asking *asking, struct llm_usage *usage)
{
    struct llm *llm = asking->llm;
    if (!llm->service) return err_new(asking->arena, ERR_UNAVAILABLE, "no language model is configured");
    asking->begun_us = time_monotonic_us();
    asking->timeout_ms = llm->timeout_ms * (asking->call->task == LLM_ANSWER ? ANSWER_TIMES : 1);
    if (asking->call->timeout_ms > 0 && asking->call->timeout_ms < asking->timeout_ms)
        asking->timeout_ms = asking->call->timeout_ms;
    struct str body = body_of(asking);
    TRY(check_budget(asking, body));
    TRY(enter(llm, asking->arena));
    struct err *failed = attempts(asking, body);
    /* who left early says nothing about the service, and one that lacks tools works without */
    if (!failed || (failed->code != ERR_CANCELLED && !asking->lacks_tools)) leave(llm, failed == NULL);
    usage->input_tokens += asking->used.input_tokens;
    usage->output_tokens += asking->used.output_tokens;
    usage->cost += asking->used.cost;
    return failed;
}

struct err *llm_ask(struct llm *llm, struct arena *arena, const struct llm_call *call, struct llm_reply *reply,
                    struct llm_usage *usage)
{
    *reply = (struct llm_reply){0};
    struct asking asking = {.llm = llm, .arena = arena, .call = call, .reply = reply};
    return ask(&asking, usage);
}

struct err *llm_ask_json(struct llm *llm, struct arena *arena, const struct llm_call *call, const json_value **object,
                         struct llm_usage *usage)
{
    struct llm_reply reply = {0};
    struct asking asking = {.llm = llm, .arena = arena, .call = call, .reply = &reply, .object = object};
    *object = NULL;
    return ask(&asking, usage);
}
