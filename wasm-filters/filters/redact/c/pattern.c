/* Patterns of the configuration: their syntax and how they are matched is described in ../src/pattern.rs. */
#include "scan.h"

#include <string.h>

#define MAX_PLACES 63
#define MAX_MATCH 256

typedef uint8_t set[256];

static uint64_t close_over(const struct pattern *pattern, uint64_t state) {
    for (;;) {
        uint64_t more = state | (state & pattern->optional) << 1;
        if (more == state) {
            return state;
        }
        state = more;
    }
}

static uint64_t end_of(const struct pattern *pattern) { return (uint64_t)1 << pattern->places; }

int pattern_can_begin(const struct pattern *pattern, unsigned char byte) {
    return (pattern->fits[byte] & close_over(pattern, 1)) != 0;
}

size_t pattern_find(const struct pattern *pattern, const char *text, size_t len, size_t i) {
    if (pattern->word_before && i > 0 && scan_is_word((unsigned char)text[i - 1])) {
        return 0;
    }
    uint64_t state = close_over(pattern, 1);
    size_t found = 0;
    for (size_t at = i; at < len && at - i < MAX_MATCH; at++) {
        uint64_t fitting = state & pattern->fits[(unsigned char)text[at]];
        if (!fitting) {
            break;
        }
        state = close_over(pattern, fitting << 1 | (fitting & pattern->repeated));
        int ends = !pattern->word_behind || at + 1 == len || !scan_is_word((unsigned char)text[at + 1]);
        if ((state & end_of(pattern)) && ends) {
            found = at + 1;
        }
    }
    return found;
}

static const char *add(struct pattern *pattern, const set fits, unsigned least, unsigned most, int any) {
    unsigned places = any ? (least > 0 ? least : 1) : most;
    if (pattern->places + places > MAX_PLACES) {
        return "it has more than 63 places";
    }
    for (unsigned n = 0; n < places; n++) {
        uint64_t bit = (uint64_t)1 << pattern->places++;
        for (int c = 0; c < 256; c++) {
            pattern->fits[c] |= fits[c] ? bit : 0;
        }
        if (n >= least) {
            pattern->optional |= bit;
        }
        if (any && n + 1 == places) {
            pattern->repeated |= bit;
        }
    }
    return NULL;
}

/* Adds the bytes of `\d`, `\w`, `\s`; whether the sign is one of them. */
static int add_class(set fits, char sign) {
    if (sign != 'd' && sign != 'w' && sign != 's') {
        return 0;
    }
    for (int c = 0; c < 128; c++) {
        int digit = c >= '0' && c <= '9';
        int space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
        fits[c] |= sign == 'd' ? digit : sign == 's' ? space : scan_is_word((unsigned char)c);
    }
    return 1;
}

/* A set in brackets, behind the first; where it ends, or NULL with the reason. */
static const char *bracket(set fits, const char *at, const char *end, const char **why) {
    int negated = at < end && *at == '^';
    at += negated;
    *why = "a `[` is never closed";
    for (int empty = 1; at < end; empty = 0) {
        unsigned char sign = (unsigned char)*at++;
        if (sign == ']') {
            if (empty) {
                *why = "`[]` has nothing in it";
                return NULL;
            }
            for (int c = 0; negated && c < 256; c++) {
                fits[c] = c < 128 && !fits[c];
            }
            *why = NULL;
            return at;
        }
        if (sign == '\\') {
            if (at == end) {
                return NULL;
            }
            sign = (unsigned char)*at++;
            if (add_class(fits, (char)sign)) {
                continue;
            }
        }
        unsigned char last = sign;
        if (at + 1 < end && at[0] == '-' && at[1] != ']') {
            last = (unsigned char)at[1];
            at += 2;
        }
        if (sign >= 128 || last >= 128) {
            *why = "brackets hold characters of ASCII only";
            return NULL;
        }
        if (sign > last) {
            *why = "a range is the wrong way round";
            return NULL;
        }
        memset(fits + sign, 1, (size_t)(last - sign) + 1);
    }
    return NULL;
}

/* A number up to 999; -1 where there is none. */
static int number(const char **at, const char *end) {
    int value = -1;
    while (*at < end && **at >= '0' && **at <= '9' && value < 100) {
        value = (value < 0 ? 0 : value) * 10 + (*(*at)++ - '0');
    }
    return value;
}

/* How often; where it ends, or NULL. */
static const char *times(const char *at, const char *end, int *least, int *most, int *any) {
    *least = *most = 1;
    *any = 0;
    if (at == end) {
        return at;
    }
    switch (*at) {
    case '?': *least = 0; return at + 1;
    case '*': *least = 0; *any = 1; return at + 1;
    case '+': *any = 1; return at + 1;
    case '{': at++; break;
    default: return at;
    }
    *least = *most = number(&at, end);
    if (at < end && *at == ',') {
        at++;
        *most = number(&at, end);
        *any = *most < 0;
    }
    if (at == end || *at != '}' || *least < 0 || *least > MAX_PLACES) {
        return NULL;
    }
    if (!*any && (*most < *least || *most == 0 || *most > MAX_PLACES)) {
        return NULL;
    }
    return at + 1;
}

const char *pattern_parse(struct pattern *pattern, const char *text, size_t len) {
    const char *at = text, *end = text + len;
    memset(pattern, 0, sizeof *pattern);
    if (len >= 2 && memcmp(at, "\\b", 2) == 0) {
        pattern->word_before = 1;
        at += 2;
    }
    if (end - at >= 2 && memcmp(end - 2, "\\b", 2) == 0 && (end - at < 3 || end[-3] != '\\')) {
        pattern->word_behind = 1;
        end -= 2;
    }
    while (at < end) {
        set fits = {0};
        const char *why = NULL;
        char sign = *at++;
        int whole = 1;
        switch (sign) {
        case '.':
            memset(fits, 1, 128);
            fits['\n'] = 0;
            break;
        case '[':
            at = bracket(fits, at, end, &why);
            if (!at) {
                return why;
            }
            break;
        case '\\':
            if (at == end) {
                return "a `\\` at its end protects nothing";
            }
            sign = *at++;
            if (add_class(fits, sign)) {
                break;
            }
            if ((sign >= '0' && sign <= '9') || ((sign | 32) >= 'a' && (sign | 32) <= 'z')) {
                return "a letter behind `\\` is one of \\d, \\w, \\s, and \\b at either end";
            }
            fits[(unsigned char)sign] = 1;
            break;
        case '?': case '*': case '+': case '{':
            return "`?`, `*`, `+` and `{` need something before them to repeat";
        case '(': case ')': case '|': case '^': case '$':
            return "`(`, `)`, `|`, `^` and `$` mean nothing here; `\\` before one makes it a sign";
        default:
            fits[(unsigned char)sign] = 1;
            whole = (unsigned char)sign < 128;
        }
        int least, most, any;
        at = times(at, end, &least, &most, &any);
        if (!at) {
            return "`{` is followed by {2}, {2,} or {2,4}, from 1 to 63, the smaller number first";
        }
        if (!whole && (least != 1 || most != 1 || any)) {
            return "only characters of ASCII can be repeated";
        }
        why = add(pattern, fits, (unsigned)least, (unsigned)most, any);
        if (why) {
            return why;
        }
    }
    return close_over(pattern, 1) & end_of(pattern) ? "it would match nothing at all, everywhere" : NULL;
}
