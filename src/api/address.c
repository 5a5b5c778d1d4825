/* address.c - which address asks, when trusted proxies stand between. */
#include "api/call.h"

#include <arpa/inet.h>

static bool parse_address(struct str text, int *family, unsigned char bytes[16])
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z) return false;
    memcpy(z, text.s, text.n);
    z[text.n] = 0;
    memset(bytes, 0, 16);
    *family = AF_INET;
    if (inet_pton(AF_INET, z, bytes) == 1) return true;
    *family = AF_INET6;
    if (inet_pton(AF_INET6, z, bytes) != 1) return false;
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, 12) == 0) { /* ::ffff:10.0.0.1 is 10.0.0.1 */
        memmove(bytes, bytes + 12, 4);
        memset(bytes + 4, 0, 12);
        *family = AF_INET;
    }
    return true;
}

bool api_network_parse(struct str text, struct api_network *network)
{
    struct str address = {0}, prefix = text;
    int64_t    bits;
    str_cut(&prefix, '/', &address);
    if (!parse_address(str_trim(address), &network->family, network->bytes)) return false;
    int most = network->family == AF_INET ? 32 : 128;
    if (!prefix.s) bits = most;
    else if (!str_to_int(str_trim(prefix), &bits) || bits < 0 || bits > most) return false;
    network->prefix = (int)bits;
    return true;
}

bool api_network_holds(const struct api_network *network, struct str address)
{
    int           family;
    unsigned char bytes[16];
    if (!parse_address(address, &family, bytes) || family != network->family) return false;
    int whole = network->prefix / 8, rest = network->prefix % 8;
    if (memcmp(bytes, network->bytes, (size_t)whole) != 0) return false;
    return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static bool is_proxy(const struct api *api, struct str address)
{
    for (size_t i = 0; i < api->proxy_count; i++)
        if (api_network_holds(&api->proxies[i], address)) return true;
    return false;
}

/* Every trusted proxy has appended the address it saw, so the last one that is no proxy of ours is the client. */
struct str api_client_address(const struct api *api, const struct net_request *request)
{
    struct str client = request->remote;
    if (!is_proxy(api, client)) return client;
    struct str    rest = net_header_get(request, "X-Forwarded-For");
    int           family;
    unsigned char bytes[16];
    while (rest.n) {
        size_t comma = rest.n;
        while (comma && rest.s[comma - 1] != ',') comma--;
        struct str address = str_trim(str_skip(rest, comma));
        rest = str_slice(rest, 0, comma ? comma - 1 : 0);
        if (!parse_address(address, &family, bytes)) break;
        client = address;
        if (!is_proxy(api, client)) break;
    }
    return client;
}

struct str api_address_group(struct arena *arena, struct str address)
{
    int           family;
    unsigned char bytes[16];
    if (!parse_address(address, &family, bytes) || family == AF_INET) return address;
    return str_dup(arena, (struct str){(const char *)bytes, 8}); /* what one customer of a provider holds */
}
