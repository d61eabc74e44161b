/* As much JSON as the settings need. The agent writes it, so there is nothing to find wrong. */
#include "scan.h"

#include <string.h>

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r' || *at == ',' || *at == ':')) {
        at++;
    }
    return at;
}

/* Behind the value at `at`. */
static const char *skip_value(const char *at, const char *end) {
    int depth = 0;
    for (; at < end; at++) {
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++) {
                at += *at == '\\';
            }
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (*at == ']' || *at == '}') {
            if (--depth < 0) {
                return at;
            }
        } else if (depth == 0 && (*at == ',' || *at == ':' || *at == ' ')) {
            return at;
        }
    }
    return end;
}

const char *json_next(const char *at, struct member *member) {
    const char *end = member->end;
    at = skip_blanks(at, end);
    if (at >= end || *at != '"') {
        return NULL;
    }
    const char *behind = skip_value(at, end);
    member->key = at + 1;
    member->key_len = (size_t)(behind - at) - 2;
    member->value = skip_blanks(behind, end);
    at = skip_value(member->value, end);
    member->value_len = (size_t)(at - member->value);
    return at;
}

const char *json_map(const char *json, const char *end, struct member *member) {
    member->end = end;
    return json < end && *json == '{' ? json_next(json + 1, member) : NULL;
}

static unsigned hex(const char *at) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10u);
    }
    return value;
}

size_t json_text(const char *json, size_t len, char *out) {
    if (len < 2 || json[0] != '"' || json[len - 1] != '"') {
        return SIZE_MAX;
    }
    const char *end = json + len - 1;
    char *to = out;
    for (const char *at = json + 1; at < end; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        switch (*++at) {
        case 'n': *to++ = '\n'; break;
        case 't': *to++ = '\t'; break;
        case 'r': *to++ = '\r'; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'u': {
            /* Only control characters are written so; all others stand for themselves. */
            unsigned code = end - at > 4 ? hex(at + 1) : 128;
            if (code >= 128) {
                return SIZE_MAX;
            }
            *to++ = (char)code;
            at += 4;
            break;
        }
        default: *to++ = *at;
        }
    }
    return (size_t)(to - out);
}
