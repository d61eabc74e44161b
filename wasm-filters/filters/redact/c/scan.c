/* E-mail addresses, card numbers, tokens: see ../src. */
#include "scan.h"

#include <string.h>

enum { EMAIL = 1, CARD = 2, TOKEN = 4, PATTERN = 8 };

#define MAX_PATTERNS 32

struct instead {
    char text[258];
    size_t len;
};

static uint8_t classes[256];
static struct pattern patterns[MAX_PATTERNS];
static struct instead pattern_instead[MAX_PATTERNS];
static unsigned n_patterns;
static struct instead email_instead, card_instead, token_instead;
static struct instead replacement;
static int replaced;

struct mark {
    const char *text;
    size_t least;
};

static const struct mark marks[] = {
    {"sk-", 20},    {"sk_live_", 16}, {"sk_test_", 16}, {"rk_live_", 16}, {"ghp_", 30},
    {"gho_", 30},   {"ghu_", 30},     {"ghs_", 30},     {"ghr_", 30},     {"github_pat_", 22},
    {"glpat-", 20}, {"xoxb-", 10},    {"xoxp-", 10},    {"xoxa-", 10},    {"xoxs-", 10},
    {"npm_", 36},   {"AKIA", 16},     {"ASIA", 16},     {"AIza", 35},
};
#define N_MARKS (sizeof marks / sizeof *marks)

static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static int is_lower(unsigned char c) { return c >= 'a' && c <= 'z'; }
static int is_alpha(unsigned char c) { return is_lower(c | 32); }
static int is_alnum(unsigned char c) { return is_alpha(c) || is_digit(c); }
static int is_local(unsigned char c) { return is_alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'; }
static int is_host(unsigned char c) { return is_alnum(c) || c == '.' || c == '-'; }
static int is_key(unsigned char c) { return is_alnum(c) || c == '_' || c == '-'; }
static int is_punctuation(unsigned char c) { return c > ' ' && c < 127 && !is_alnum(c); }
static int is_credential(unsigned char c) { return is_key(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='; }

int scan_is_word(unsigned char c) { return is_alnum(c) || c == '_'; }

static int begins_word(const char *text, size_t i) { return i == 0 || !scan_is_word((unsigned char)text[i - 1]); }

static size_t run(const char *text, size_t from, size_t len, int (*is_part)(unsigned char)) {
    size_t i = from;
    while (i < len && is_part((unsigned char)text[i])) {
        i++;
    }
    return i - from;
}

static int starts_with(const char *text, size_t len, const char *head) {
    size_t n = strlen(head);
    return len >= n && memcmp(text, head, n) == 0;
}

static void set_instead(struct instead *instead, const char *name, size_t len) {
    if (replaced) {
        *instead = replacement;
        return;
    }
    instead->text[0] = '[';
    memcpy(instead->text + 1, name, len);
    instead->text[len + 1] = ']';
    instead->len = len + 2;
}

void scan_setup(const int kinds[3], const char *text, size_t len) {
    replaced = text != NULL;
    if (replaced) {
        memcpy(replacement.text, text, len);
        replacement.len = len;
    }
    set_instead(&email_instead, "email", 5);
    set_instead(&card_instead, "card", 4);
    set_instead(&token_instead, "token", 5);
    if (kinds[0]) {
        classes['@'] |= EMAIL;
    }
    for (int c = '2'; kinds[1] && c <= '6'; c++) {
        classes[c] |= CARD;
    }
    for (size_t i = 0; kinds[2] && i < N_MARKS; i++) {
        classes[(unsigned char)marks[i].text[0]] |= TOKEN;
    }
    if (kinds[2]) {
        classes['b'] |= TOKEN;
        classes['B'] |= TOKEN;
        classes['e'] |= TOKEN;
    }
}

const char *scan_add(const char *name, size_t name_len, const char *pattern, size_t len) {
    if (n_patterns == MAX_PATTERNS) {
        return "there are more than 32 patterns";
    }
    if (name_len > 256) {
        return "its name has more than 256 bytes";
    }
    const char *why = pattern_parse(&patterns[n_patterns], pattern, len);
    if (why) {
        return why;
    }
    set_instead(&pattern_instead[n_patterns], name, name_len);
    for (int c = 0; c < 256; c++) {
        if (pattern_can_begin(&patterns[n_patterns], (unsigned char)c)) {
            classes[c] |= PATTERN;
        }
    }
    n_patterns++;
    return NULL;
}

static int find_email(const char *text, size_t len, size_t from, size_t at, size_t *start, size_t *end) {
    size_t begin = at;
    while (begin > from && at - begin < 64 && is_local((unsigned char)text[begin - 1])) {
        begin--;
    }
    while (begin < at && !is_alnum((unsigned char)text[begin])) {
        begin++;
    }
    const char *host = text + at + 1;
    size_t n = run(text, at + 1, len, is_host);
    while (n > 0 && !is_alnum((unsigned char)host[n - 1])) {
        n--;
    }
    size_t dot = n;
    while (dot > 0 && host[dot - 1] != '.') {
        dot--;
    }
    /* `dot` is behind it. */
    if (begin == at || dot < 2 || n - dot < 2 || !is_alnum((unsigned char)host[0]) || !is_alnum((unsigned char)host[dot - 2])) {
        return 0;
    }
    for (size_t i = dot; i < n; i++) {
        if (!is_alpha((unsigned char)host[i])) {
            return 0;
        }
    }
    *start = begin;
    *end = at + 1 + n;
    return 1;
}

static int luhn(const uint8_t *digits, size_t n) {
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = digits[n - 1 - i];
        sum += i % 2 == 0 ? digit : digit * 2 / 10 + digit * 2 % 10;
    }
    return sum % 10 == 0;
}

static int is_card(const uint8_t *digits, size_t n) {
    if (n < 13) {
        return 0;
    }
    unsigned head = digits[0] * 1000u + digits[1] * 100u + digits[2] * 10u + digits[3];
    int fits = 0;
    if ((head >= 2221 && head <= 2720) || (head >= 5100 && head <= 5599)) {
        fits = n == 16;
    } else if ((head >= 3400 && head <= 3499) || (head >= 3700 && head <= 3799)) {
        fits = n == 15;
    } else if ((head >= 3000 && head <= 3059) || (head >= 3600 && head <= 3699) || (head >= 3800 && head <= 3999)) {
        fits = n == 14 || n >= 16;
    } else if (head >= 3528 && head <= 3589) {
        fits = n >= 16;
    } else if (head >= 4000 && head <= 4999) {
        fits = n == 13 || n == 16 || n == 19;
    } else if ((head >= 5000 && head <= 5099) || (head >= 5600 && head <= 6999)) {
        fits = 1;
    }
    return fits && luhn(digits, n);
}

static int find_card(const char *text, size_t len, size_t at, size_t *end) {
    uint8_t digits[19];
    size_t n = 0;
    size_t found = 0;
    if (!begins_word(text, at)) {
        return 0;
    }
    for (size_t i = at;;) {
        if (i < len && is_digit((unsigned char)text[i])) {
            if (n == sizeof digits) {
                break;
            }
            digits[n++] = (uint8_t)(text[i++] - '0');
            continue;
        }
        if ((i == len || !scan_is_word((unsigned char)text[i])) && is_card(digits, n)) {
            found = i;
        }
        if (i + 1 >= len || (text[i] != ' ' && text[i] != '-') || !is_digit((unsigned char)text[i + 1])) {
            break;
        }
        i++;
    }
    *end = found;
    return found != 0;
}

static int find_credential(const char *text, size_t len, size_t at, size_t *start, size_t *end) {
    static const char *const schemes[] = {"bearer ", "basic "};
    for (int s = 0; s < 2; s++) {
        size_t n = strlen(schemes[s]);
        size_t i = 0;
        while (i < n && at + i < len && (text[at + i] == schemes[s][i] || (is_alpha((unsigned char)text[at + i]) && (text[at + i] | 32) == schemes[s][i]))) {
            i++;
        }
        if (i < n) {
            continue;
        }
        size_t from = at + n;
        size_t size = run(text, from, len, is_credential);
        while (size > 0 && text[from + size - 1] == '.') {
            size--;
        }
        int word = 1;
        for (size_t k = 1; k < size; k++) {
            unsigned char c = (unsigned char)text[from + k];
            word = word && (is_lower(c) || (is_punctuation(c) && c != '='));
        }
        if (size < 8 || word) {
            return 0;
        }
        *start = from;
        *end = from + size;
        return 1;
    }
    return 0;
}

static int find_web_token(const char *text, size_t len, size_t at, size_t *end) {
    if (!starts_with(text + at, len - at, "eyJ")) {
        return 0;
    }
    size_t i = at + run(text, at, len, is_key);
    if (!starts_with(text + i, len - i, ".eyJ")) {
        return 0;
    }
    i += 1 + run(text, i + 1, len, is_key);
    if (i >= len || text[i] != '.') {
        return 0;
    }
    *end = i + 1 + run(text, i + 1, len, is_key);
    return 1;
}

static int find_token(const char *text, size_t len, size_t at, size_t *start, size_t *end) {
    if (!begins_word(text, at)) {
        return 0;
    }
    *start = at;
    switch (text[at]) {
    case 'b':
    case 'B':
        return find_credential(text, len, at, start, end);
    case 'e':
        return find_web_token(text, len, at, end);
    default:
        for (size_t i = 0; i < N_MARKS; i++) {
            if (starts_with(text + at, len - at, marks[i].text)) {
                size_t from = at + strlen(marks[i].text);
                size_t n = run(text, from, len, is_key);
                *end = from + n;
                return n >= marks[i].least;
            }
        }
        return 0;
    }
}

/* What byte `at` is part of; NULL for nothing. */
static const struct instead *find(const char *text, size_t len, size_t done, size_t at, size_t *start, size_t *end, struct found *found) {
    uint8_t class = classes[(unsigned char)text[at]];
    if (class & PATTERN) {
        for (unsigned i = 0; i < n_patterns; i++) {
            *end = pattern_find(&patterns[i], text, len, at);
            if (*end) {
                *start = at;
                found->patterns++;
                return &pattern_instead[i];
            }
        }
    }
    if ((class & TOKEN) && find_token(text, len, at, start, end)) {
        found->tokens++;
        return &token_instead;
    }
    if ((class & CARD) && find_card(text, len, at, end)) {
        *start = at;
        found->cards++;
        return &card_instead;
    }
    if ((class & EMAIL) && find_email(text, len, done, at, start, end)) {
        found->emails++;
        return &email_instead;
    }
    return NULL;
}

/* Appends; where there is no room it is counted only. */
static size_t append(char *out, size_t cap, size_t n, const char *text, size_t len) {
    if (n + len <= cap) {
        memcpy(out + n, text, len);
    }
    return n + len;
}

size_t scan_rewrite(const char *text, size_t len, char *out, size_t cap, struct found *found) {
    size_t done = 0;
    size_t n = 0;
    int any = 0;
    for (size_t at = 0; at < len;) {
        size_t start, end;
        const struct instead *instead = classes[(unsigned char)text[at]] ? find(text, len, done, at, &start, &end, found) : NULL;
        if (!instead) {
            at++;
            continue;
        }
        any = 1;
        n = append(out, cap, n, text + done, start - done);
        n = append(out, cap, n, instead->text, instead->len);
        done = at = end;
    }
    return any ? append(out, cap, n, text + done, len - done) : SIZE_MAX;
}
