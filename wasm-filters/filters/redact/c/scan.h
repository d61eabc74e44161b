/* The scanner of `redact.c`, and as much JSON as its settings need. */
#ifndef REDACT_SCAN_H
#define REDACT_SCAN_H

#include <stddef.h>
#include <stdint.h>

struct found {
    int64_t emails, cards, tokens, patterns;
};

/* `kinds`: e-mail addresses, cards, tokens. Without a replacement it is the kind's name in brackets. */
void scan_setup(const int kinds[3], const char *replacement, size_t len);
/* Adds a pattern; NULL, or why it is none. */
const char *scan_add(const char *name, size_t name_len, const char *pattern, size_t len);
/* Writes the text without what it must not say; its length, more than `cap` if there is no room, or SIZE_MAX, and nothing
 * written, where there is nothing of it. */
size_t scan_rewrite(const char *text, size_t len, char *out, size_t cap, struct found *found);

int scan_is_word(unsigned char byte);

struct pattern {
    uint64_t fits[256];
    uint64_t optional, repeated;
    unsigned places;
    int word_before, word_behind;
};

/* NULL, or why it is no pattern. */
const char *pattern_parse(struct pattern *pattern, const char *text, size_t len);
/* Where the longest match that begins at `i` ends; 0 where there is none. */
size_t pattern_find(const struct pattern *pattern, const char *text, size_t len, size_t i);
int pattern_can_begin(const struct pattern *pattern, unsigned char byte);

/* A member of a JSON map: the key without quotes, escapes as they are, and the value as JSON. */
struct member {
    const char *key, *value, *end;
    size_t key_len, value_len;
};

/* The first member; NULL where there is none. */
const char *json_map(const char *json, const char *end, struct member *member);
/* The next. */
const char *json_next(const char *at, struct member *member);
/* What a JSON string says; its length, or SIZE_MAX where it is no string. `out` has room for what it is written as. */
size_t json_text(const char *json, size_t len, char *out);

#endif
