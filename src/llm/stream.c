/* stream.c - an answer that comes in pieces: Server-Sent Events put together to what the service would have said in
 * one.
 *
 * A service that ignores the wish for pieces answers with one JSON object; it is read as such.
 */
#include "llm/inside.h"

#include "base/utf8.h"

enum { MOST_TOKENS = 100000000 /* a count above this is a service's mistake */ };

struct llm_stream llm_stream_begin(struct arena *arena, const struct llm_service *service, struct llm_listener listener)
{
    return (struct llm_stream){.arena = arena,
                               .scratch = arena_create(),
                               .service = service,
                               .listener = listener,
                               .line = buf_in(arena),
                               .data = buf_in(arena),
                               .text = buf_in(arena)};
}

void llm_stream_free(struct llm_stream *stream)
{
    arena_destroy(stream->scratch);
    stream->scratch = NULL;
}

int64_t llm_token_count(const json_value *root, const char *path)
{
    int64_t n = path ? json_int(root, path, 0) : 0;
    return n < 0 ? 0 : n > MOST_TOKENS ? MOST_TOKENS : n;
}

/* Counts come more than once, each time for all that was used so far. */
void llm_stream_usage(struct llm_stream *stream, const json_value *root)
{
    const struct llm_service *service = stream->service;
    int64_t                   input = 0, output = llm_token_count(root, service->output_tokens);
    for (size_t i = 0; i < sizeof service->input_tokens / sizeof *service->input_tokens; i++)
        input += llm_token_count(root, service->input_tokens[i]);
    if (input > stream->input_tokens) stream->input_tokens = input;
    if (output > stream->output_tokens) stream->output_tokens = output;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* What may be told of the text so far: not thinking, nor what could be its opening mark. */
static struct str speakable(const struct llm_stream *stream)
{
    static const struct str open = STR("<think>"), close = STR("</think>");
    struct str              text = buf_str(&stream->text);
    size_t                  from = 0;
    while (from < text.n && (unsigned char)text.s[from] <= ' ') from++;
    struct str begin = str_skip(text, from);
    if (begin.n < open.n && str_starts(open, begin) && !stream->ended) return (struct str){text.s, 0};
    if (!str_starts(begin, open)) return text;
    size_t end = str_find(text, close, 0);
    if (end == SIZE_MAX) return (struct str){text.s, 0};
    end += close.n;
    while (end < text.n && (unsigned char)text.s[end] <= ' ') end++;
    return str_skip(text, end);
}

static void tell(struct llm_stream *stream)
{
    struct str all = speakable(stream);
    size_t     from = stream->told;
    if (all.n <= from || !stream->listener.text) return;
    stream->told = all.n;
    stream->listener.text(stream->listener.arg, str_skip(all, from));
}

void llm_stream_text(struct llm_stream *stream, struct str text)
{
    if (!text.n) return;
    buf_str_add(&stream->text, text);
    tell(stream);
}

void llm_stream_use(struct llm_stream *stream, int64_t at, struct str id, struct str name, struct str arguments)
{
    size_t i = 0;
    /* Anthropic counts all blocks of the answer, so positions have gaps: a use begins where its id comes. */
    if (id.n || name.n) {
        if (stream->use_count == LLM_MAX_USES) return;
        i = stream->use_count++;
        stream->uses[i].id = str_dup(stream->arena, id);
        stream->uses[i].name = str_dup(stream->arena, name);
        stream->uses[i].arguments = buf_in(stream->arena);
        stream->uses[i].at = at;
    } else {
        while (i < stream->use_count && stream->uses[i].at != at) i++;
        if (i == stream->use_count) return;
    }
    buf_str_add(&stream->uses[i].arguments, arguments);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void end_event(struct llm_stream *stream)
{
    const json_value *event;
    struct str        data = buf_str(&stream->data);
    stream->data.n = 0;
    if (!data.n || str_eq(str_trim(data), STR("[DONE]"))) return;
    arena_reset(stream->scratch);
    if (json_parse(stream->scratch, data, &event) || !json_is_object(event)) {
        stream->failed = true;
        return;
    }
    struct str model = stream->model;
    stream->service->event(stream, event);
    if (stream->model.s != model.s) stream->model = str_dup(stream->arena, stream->model);
}

static void end_line(struct llm_stream *stream)
{
    struct str line = buf_str(&stream->line);
    stream->line.n = 0;
    if (line.n && line.s[line.n - 1] == '\r') line.n--;
    if (!line.n) {
        end_event(stream);
        return;
    }
    if (!str_starts(line, STR("data:"))) return;
    if (stream->data.n) buf_char(&stream->data, '\n');
    line = str_skip(line, strlen("data:"));
    buf_str_add(&stream->data, str_starts(line, STR(" ")) ? str_skip(line, 1) : line);
}

bool llm_stream_piece(void *arg, struct str text)
{
    struct llm_stream *stream = arg;
    if (!stream->begun && str_trim(text).n) {
        stream->begun = true;
        stream->whole = str_trim(text).s[0] == '{';
    }
    if (stream->whole) {
        buf_str_add(&stream->data, text);
        return true;
    }
    for (size_t i = 0; i < text.n; i++)
        if (text.s[i] == '\n')
            end_line(stream);
        else
            buf_char(&stream->line, text.s[i]);
    return !stream->failed;
}

static bool end_whole(struct llm_stream *stream, struct llm_reply *reply)
{
    const json_value *root;
    if (json_parse(stream->arena, buf_str(&stream->data), &root)) return false;
    llm_stream_usage(stream, root);
    stream->model = json_str(root, "model");
    if (!stream->service->read(stream->arena, root, reply)) return false;
    if (reply->text.n && stream->listener.text) {
        stream->told = reply->text.n;
        stream->listener.text(stream->listener.arg, reply->text);
    }
    return true;
}

bool llm_stream_end(struct llm_stream *stream, struct llm_reply *reply)
{
    if (stream->whole) return end_whole(stream, reply);
    end_line(stream);
    end_event(stream); /* the last one may lack its empty line */
    if (!stream->ended || stream->failed) return false;
    tell(stream);
    reply->text = utf8_repair(stream->arena, speakable(stream));
    reply->cut = stream->cut;
    for (size_t i = 0; i < stream->use_count; i++)
        llm_add_use(stream->arena, reply, stream->uses[i].id, stream->uses[i].name,
                    buf_str(&stream->uses[i].arguments));
    return true;
}
