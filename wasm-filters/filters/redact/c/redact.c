/* `redact` in C: the twin of the Rust filter beside it, with its settings and, byte for byte, its output. What is looked for
 * is described there: ../src/email.rs, card.rs, token.rs, pattern.rs.
 *
 * All memory is static. A string of more than MAX_TEXT bytes fails its record: what can't be looked at must not go on. */
#include <string.h>

#include "../../../c/suiro_filter.h"
#include "scan.h"

#define MAX_TEXT (1 << 20)
#define MAX_CONFIG (64 << 10)

static char text[MAX_TEXT];
static char out[2 * MAX_TEXT];
static char config[MAX_CONFIG];

static int32_t complain(const char *why, const char *what, size_t len) {
    char line[256];
    size_t n = strlen(why);
    memcpy(line, why, n);
    size_t room = sizeof line - n;
    size_t rest = len < room ? len : room;
    memcpy(line + n, what, rest);
    suiro_log(SUIRO_ERROR, line, n + rest);
    return 1;
}

/* Reads `true` or `false`; 0 where it is neither. */
static int flag(const char *name, int *out_flag) {
    char value[8];
    int32_t len = suiro_config(name, strlen(name), value, sizeof value);
    if (len == SUIRO_ABSENT) {
        return 1;
    }
    *out_flag = suiro_is(value, len, sizeof value, "true");
    return *out_flag || suiro_is(value, len, sizeof value, "false");
}

static int is_setting(const char *key, size_t len) {
    static const char *const names[] = {"emails", "cards", "tokens", "patterns", "replacement"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], key, len) == 0) {
            return 1;
        }
    }
    return 0;
}

static int32_t init(void) {
    int kinds[3] = {1, 1, 1};
    static const char *const flags[] = {"emails", "cards", "tokens"};
    for (int i = 0; i < 3; i++) {
        if (!flag(flags[i], &kinds[i])) {
            return complain("must be true or false: ", flags[i], strlen(flags[i]));
        }
    }
    static char replacement[256];
    int32_t len = suiro_config(SUIRO_TEXT("replacement"), replacement, sizeof replacement);
    if (len > (int32_t)sizeof replacement) {
        return complain("`replacement` is longer than 256 bytes", "", 0);
    }
    scan_setup(kinds, len < 0 ? NULL : replacement, len < 0 ? 0 : (size_t)len);

    struct member member;
    len = suiro_config("", 0, config, sizeof config);
    if (len > MAX_CONFIG) {
        return complain("the settings have more than 64 KiB", "", 0);
    }
    for (const char *at = json_map(config, config + (len < 0 ? 0 : len), &member); at; at = json_next(at, &member)) {
        if (!is_setting(member.key, member.key_len)) {
            return complain("unknown setting; there are emails, cards, tokens, patterns, replacement, and not ", member.key, member.key_len);
        }
    }
    len = suiro_config(SUIRO_TEXT("patterns"), config, sizeof config);
    for (const char *at = json_map(config, config + (len < 0 ? 0 : len), &member); at; at = json_next(at, &member)) {
        static char pattern[MAX_CONFIG];
        size_t pattern_len = json_text(member.value, member.value_len, pattern);
        const char *why = pattern_len == SIZE_MAX ? "must be a text" : scan_add(member.key, member.key_len, pattern, pattern_len);
        if (why) {
            complain(why, ": the pattern ", 14);
            return complain("in `patterns`: ", member.key, member.key_len);
        }
    }
    return 0;
}

static suiro_verdict redact(suiro_record record) {
    if (suiro_each(record, 1 << SUIRO_STR) != 0) {
        return SUIRO_KEEP;
    }
    struct found found = {0};
    int32_t len;
    while ((len = suiro_next(text, MAX_TEXT)) >= 0) {
        if (len > MAX_TEXT) {
            suiro_fail(record, SUIRO_TEXT("a string has more than 1 MiB"));
            return SUIRO_KEEP;
        }
        size_t new_len = scan_rewrite(text, (size_t)len, out, sizeof out, &found);
        if (new_len == SIZE_MAX) {
            continue;
        }
        if (new_len > sizeof out || suiro_set_str(record, SUIRO_AT, out, new_len) < 0) {
            suiro_fail(record, SUIRO_TEXT("a string can't be redacted"));
            return SUIRO_KEEP;
        }
    }
    if (found.emails) {
        suiro_counter(SUIRO_TEXT("redacted_emails"), found.emails);
    }
    if (found.cards) {
        suiro_counter(SUIRO_TEXT("redacted_cards"), found.cards);
    }
    if (found.tokens) {
        suiro_counter(SUIRO_TEXT("redacted_tokens"), found.tokens);
    }
    if (found.patterns) {
        suiro_counter(SUIRO_TEXT("redacted_patterns"), found.patterns);
    }
    return SUIRO_KEEP;
}

SUIRO_FILTER(redact)
SUIRO_INIT(init)
