/* provider.c - vectors from an OpenAI-compatible service: POST {base}/v1/embeddings. */
#include "embed/parts.h"
#include "base/time.h"
#include "json/json.h"
#include "net/net.h"

#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    BATCH = 64,             /* texts of one call */
    LARGEST_TEXT = 8000,    /* bytes; below the 8,192 tokens that services accept */
    ATTEMPTS = 2,
    ANSWER_BYTES_A_NUMBER = 32,
    ANSWER_BYTES_BESIDE = 65536,
};
#define BUDGET SECONDS(10)
#define PAUSE 250 /* ms before the second attempt, unless the service asks for longer */

static const struct {
    const char *provider, *base_url;
    bool        needs_key; /* at its default address */
    bool        shortens;  /* takes "dimensions" */
} services[] = {
    {"openai", "https://api.openai.com", true, true},
    {"ollama", "http://127.0.0.1:11434", false, false},
};

struct embed_provider {
    struct str url, authorization, model;
    struct str name;            /* of the vectors: the model, with the dimension if one was asked for */
    int        wanted;          /* 0: whatever comes */
    bool       shortens;
    atomic_int dim;             /* 0: not known yet */
};

static struct str endpoint(struct arena *arena, struct str base)
{
    while (str_ends(base, STR("/"))) base.n--;
    return str_printf(arena, STR_FMT "%s", STR_ARG(base), str_ends(base, STR("/v1")) ? "/embeddings" : "/v1/embeddings");
}

struct err *embed_provider_create(struct arena *arena, struct arena *own, struct embed_config config,
                                  struct embed_provider **provider)
{
    size_t i = 0;
    while (!str_eq(config.provider, str_of(services[i].provider))) i++; /* embed.c's table has no other names */
    struct str base = config.base_url.n ? config.base_url : str_of(services[i].base_url);
    if (!config.model.n)
        return err_new(arena, ERR_INVALID, "embedding.provider %s needs embedding.model", services[i].provider);
    if (!config.base_url.n && services[i].needs_key && !config.api_key.n)
        return err_new(arena, ERR_INVALID, "embedding.provider %s needs embedding.api_key", services[i].provider);
    if (!str_starts_nocase(base, STR("http://")) && !str_starts_nocase(base, STR("https://")))
        return err_new(arena, ERR_INVALID, "embedding.base_url must begin with http:// or https://");
    if (config.dim < 0 || config.dim > EMBED_MAX_DIM)
        return err_new(arena, ERR_INVALID, "embedding.dim must be between 1 and %d", EMBED_MAX_DIM);

    struct embed_provider *made = NEW(own, struct embed_provider);
    made->url = endpoint(own, base);
    made->model = str_dup(own, config.model);
    made->name = config.dim ? str_printf(own, STR_FMT "@%d", STR_ARG(config.model), config.dim) : made->model;
    if (config.api_key.n) made->authorization = str_printf(own, "Bearer " STR_FMT, STR_ARG(config.api_key));
    made->wanted = config.dim;
    made->shortens = services[i].shortens;
    atomic_init(&made->dim, config.dim);
    *provider = made;
    return NULL;
}

struct str embed_provider_model(const struct embed_provider *provider)
{
    return provider->name;
}

int embed_provider_dim(const struct embed_provider *provider)
{
    return atomic_load(&provider->dim);
}

static struct str question(const struct embed_provider *provider, struct arena *arena, const struct str *texts, size_t n)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "model", provider->model);
    if (provider->wanted && provider->shortens) json_put(&out, "dimensions", provider->wanted);
    json_put_texts(&out, "input", texts, n);
    json_end(&out);
    return json_out_text(&out);
}

/* Numbers of an answer become a vector; the first answer of all decides the dimension. */
static struct err *read_vector(struct embed_provider *provider, struct arena *arena, const json_value *numbers,
                               struct embed_vector *vector)
{
    size_t count = json_count(numbers);
    if (!json_is_array(numbers) || count < 1 || count > EMBED_MAX_DIM)
        return err_new(arena, ERR_UNAVAILABLE, "the embedding service's answer is not a list of vectors");
    int expected = 0;
    if (!atomic_compare_exchange_strong(&provider->dim, &expected, (int)count) && expected != (int)count)
        return err_new(arena, ERR_INVALID, "the embedding service answers with %zu dimensions, not %d", count, expected);
    float *v = NEW_ARRAY(arena, float, count);
    size_t i = 0;
    for (struct json_iter it = json_iter(numbers); json_step(&it); i++) {
        v[i] = (float)json_real(it.value, "", NAN);
        if (!isfinite(v[i]))
            return err_new(arena, ERR_UNAVAILABLE, "the embedding service's answer holds something that is no number");
    }
    *vector = embed_quantise(arena, v, (int)count);
    return NULL;
}

/* data[] may come in any order: each entry says which text it is of. */
static struct err *read_answer(struct embed_provider *provider, struct arena *arena, struct str body, size_t n,
                               struct embed_vector *out)
{
    const json_value *root;
    if (json_parse(arena, body, &root))
        return err_new(arena, ERR_UNAVAILABLE, "the embedding service's answer is not JSON");
    const json_value *data = json_get(root, "data");
    if (!json_is_array(data) || json_count(data) != n)
        return err_new(arena, ERR_UNAVAILABLE, "the embedding service answered %zu vectors for %zu texts",
                       json_is_array(data) ? json_count(data) : 0, n);
    bool  *seen = NEW_ARRAY(arena, bool, n);
    size_t position = 0;
    for (struct json_iter it = json_iter(data); json_step(&it); position++) {
        int64_t at = json_int(it.value, "index", (int64_t)position);
        if (at < 0 || (uint64_t)at >= n || seen[at])
            return err_new(arena, ERR_UNAVAILABLE, "the embedding service's answer repeats or skips a text");
        seen[at] = true;
        TRY(read_vector(provider, arena, json_get(it.value, "embedding"), &out[at]));
    }
    return NULL;
}

static bool worth_another_try(int status)
{
    return status == 429 || status >= 500;
}

/* Milliseconds to wait before the second attempt: Retry-After in seconds if there is one. */
static int64_t pause_before_retry(struct str retry_after)
{
    int64_t seconds;
    if (!str_to_int(str_trim(retry_after), &seconds) || seconds < 0) return PAUSE;
    if (seconds > BUDGET / 1000) return BUDGET;
    return seconds ? SECONDS(seconds) : PAUSE;
}

static struct err *ask(struct embed_provider *provider, struct arena *arena, struct str body, size_t n,
                       struct net_answer *answer)
{
    int64_t start = time_monotonic_us();
    for (int attempt = 1;; attempt++) {
        int64_t         left = BUDGET - (time_monotonic_us() - start) / 1000;
        struct net_call call = {
            .method = "POST",
            .url = provider->url,
            .headers = {{STR("Content-Type"), STR("application/json")}, {STR("Authorization"), provider->authorization}},
            .header_count = provider->authorization.n ? 2 : 1,
            .body = body,
            .timeout_ms = left > 1 ? left : 1,
            .max_reply = n * EMBED_MAX_DIM * ANSWER_BYTES_A_NUMBER + ANSWER_BYTES_BESIDE,
        };
        struct err *failed = net_http(arena, &call, answer);
        if (failed) return err_wrap(arena, failed, "the embedding service does not answer");
        if (answer->status >= 200 && answer->status < 300) return NULL;
        if (!worth_another_try(answer->status))
            return err_new(arena, ERR_INVALID, "the embedding service refuses with status %d", answer->status);
        int64_t pause = pause_before_retry(answer->retry_after);
        if (attempt == ATTEMPTS || pause >= BUDGET - (time_monotonic_us() - start) / 1000)
            return err_new(arena, ERR_UNAVAILABLE, "the embedding service answers with status %d", answer->status);
        usleep((useconds_t)pause * 1000);
    }
}

/* Services refuse empty texts, so these are not sent: they have no vector. */
struct err *embed_provider_texts(struct embed_provider *provider, struct arena *arena, const struct str *texts, size_t n,
                                 struct embed_vector *out)
{
    for (size_t from = 0; from < n;) {
        struct str sent[BATCH];
        size_t     place[BATCH], count = 0;
        for (; from < n && count < BATCH; from++) {
            struct str text = str_trim(texts[from]);
            out[from] = (struct embed_vector){0};
            if (!text.n) continue;
            if (text.n > LARGEST_TEXT) {
                text.n = LARGEST_TEXT;
                while (text.n && ((unsigned char)text.s[text.n] & 0xc0) == 0x80) text.n--;
            }
            sent[count] = text;
            place[count++] = from;
        }
        if (!count) break;
        struct net_answer   answer;
        struct embed_vector vectors[BATCH];
        TRY(ask(provider, arena, question(provider, arena, sent, count), count, &answer));
        TRY(read_answer(provider, arena, answer.body, count, vectors));
        for (size_t i = 0; i < count; i++) out[place[i]] = vectors[i];
    }
    return NULL;
}
