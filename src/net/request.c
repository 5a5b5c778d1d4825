/* request.c - what a handler sees: headers, query, reply headers; requests made without a socket. */
#include "base/time.h"
#include "net/net.h"

struct str net_header_get(const struct net_request *request, const char *name)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < request->headers.n; i++)
        if (str_eq_nocase(request->headers.at[i].name, wanted)) return request->headers.at[i].value;
    return (struct str){0};
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct str net_decode(struct arena *arena, struct str text, bool plus)
{
    if (str_find_char(text, '%', 0) == SIZE_MAX && (!plus || str_find_char(text, '+', 0) == SIZE_MAX)) return text;
    char  *out = arena_alloc_raw(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int  high = 0, low = 0;
        bool escaped = text.s[i] == '%' && i + 2 < text.n && (high = digit(text.s[i + 1])) >= 0 &&
                       (low = digit(text.s[i + 2])) >= 0;
        if (escaped && (plus || (high << 4 | low) != '/')) { /* in a path, "%2F" separates nothing: it stays */
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else
            out[n++] = plus && text.s[i] == '+' ? ' ' : text.s[i];
    }
    return (struct str){out, n};
}

struct str net_encode(struct arena *arena, struct str text)
{
    struct buf out = buf_in(arena);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i], letter = c | 0x20;
        if ((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-_~", c)))
            buf_char(&out, (char)c);
        else
            buf_printf(&out, "%%%02X", c);
    }
    return buf_str(&out);
}

struct str net_query_get(const struct net_request *request, const char *name)
{
    struct str wanted = str_of(name);
    for (struct str rest = request->query, value; str_cut(&rest, '&', &value);) {
        struct str key;
        bool       given = str_find_char(value, '=', 0) != SIZE_MAX;
        str_cut(&value, '=', &key);
        if (str_eq(net_decode(request->arena, key, true), wanted))
            return given ? net_decode(request->arena, value, true) : STR("");
    }
    return (struct str){0};
}

struct net_request *net_request_local(struct arena *arena, const char *method, struct str target, struct str body)
{
    struct net_request *request = NEW(arena, struct net_request);
    struct str          path = {0}, query = target;
    str_cut(&query, '?', &path);
    *request = (struct net_request){.arena = arena,
                                    .method = str_of(method),
                                    .path = net_decode(arena, path, false),
                                    .query = query,
                                    .body = body,
                                    .remote = STR("local"),
                                    .local = true,
                                    .received_us = time_monotonic_us()};
    return request;
}

void net_request_header(struct net_request *request, const char *name, struct str value)
{
    *VEC_PUSH(request->arena, &request->headers) = (struct net_header){str_of(name), value};
}

void net_reply_header(struct net_reply *reply, const char *name, struct str value)
{
    if (reply->header_count == NET_REPLY_HEADERS) return;
    reply->headers[reply->header_count++] = (struct net_header){str_of(name), value};
}
