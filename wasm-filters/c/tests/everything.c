/* Uses every function, and traps with a line in the log where one does not do what it should. See everything.test.mjs. */
#include "suiro_filter.h"

#define CHECK(holds)                                      \
    do {                                                  \
        if (!(holds)) {                                   \
            suiro_log(SUIRO_ERROR, SUIRO_TEXT("" #holds)); \
            __builtin_trap();                             \
        }                                                 \
    } while (0)

static char prefix[16];
static int32_t prefix_len;

static int32_t init(void) {
    prefix_len = suiro_config(SUIRO_TEXT("prefix"), prefix, sizeof prefix);
    if (prefix_len < 0 || prefix_len > (int32_t)sizeof prefix) {
        suiro_log(SUIRO_ERROR, SUIRO_TEXT("`prefix` is missing"));
        return 1;
    }
    return 0;
}

static void walk(suiro_record record) {
    char text[8], path[32];
    int32_t len, seen = 0;
    CHECK(suiro_each(record, 1 << SUIRO_STR) == 0);
    while ((len = suiro_next(text, sizeof text)) >= 0) {
        int32_t path_len = suiro_path(path, sizeof path);
        seen++;
        if (suiro_is(text, len, sizeof text, "out")) {
            CHECK(suiro_is(path, path_len, sizeof path, "l[0]"));
            CHECK(suiro_remove(record, SUIRO_AT) == 1);
        } else if (suiro_is(text, len, sizeof text, "json")) {
            CHECK(suiro_is(path, path_len, sizeof path, "l[0]"));
            CHECK(suiro_set_json(record, SUIRO_AT, SUIRO_TEXT("{\"was\":\"json\"}")) == 0);
        } else if (len > (int32_t)sizeof text) {
            CHECK(suiro_get(record, SUIRO_AT, text, sizeof text) == len);
            CHECK(suiro_set_i64(record, SUIRO_AT, len) == 0);
        }
    }
    CHECK(len == SUIRO_ABSENT && seen == 5);
}

static suiro_verdict everything(suiro_record record) {
    char text[64];
    int64_t i = 0;
    double f = 0;
    suiro_field none = SUIRO_FIELD("none"), s = SUIRO_FIELD("s"), n = SUIRO_FIELD("i"), x = SUIRO_FIELD("f");
    if (suiro_get_bool(record, SUIRO_FIELD("drop")) == 1) {
        return SUIRO_DROP;
    }
    int32_t len = suiro_get(record, SUIRO_FIELD("fail"), text, sizeof text);
    if (len >= 0) {
        CHECK(suiro_fail(record, text, (size_t)len) == 0);
        return SUIRO_KEEP;
    }
    CHECK(suiro_resolve(SUIRO_TEXT("a..b")) == SUIRO_BAD_TEXT);
    CHECK(suiro_kind(record, none) == SUIRO_ABSENT && suiro_get(record, none, text, sizeof text) == SUIRO_ABSENT);
    CHECK(suiro_kind(record, s) == SUIRO_STR && suiro_kind(record, n) == SUIRO_INT && suiro_kind(record, x) == SUIRO_FLOAT);
    CHECK(suiro_kind(record, SUIRO_FIELD("l")) == SUIRO_LIST && suiro_kind(record, SUIRO_FIELD("m")) == SUIRO_MAP);
    CHECK(suiro_kind(record + 1000, s) == SUIRO_INVALID && suiro_kind(record, -9) == SUIRO_INVALID);
    CHECK(suiro_get_i64(record, n, &i) == 0 && i == 7 && suiro_get_i64(record, x, &i) == SUIRO_WRONG_TYPE);
    CHECK(suiro_get_f64(record, x, &f) == 0 && f == 1.5 && suiro_get_f64(record, s, &f) == SUIRO_WRONG_TYPE);
    CHECK(suiro_get_bool(record, n) == SUIRO_WRONG_TYPE);
    len = suiro_get(record, s, text + prefix_len, sizeof text - 16);
    for (int32_t k = 0; k < prefix_len; k++) {
        text[k] = prefix[k];
    }
    CHECK(len > 0 && suiro_set_str(record, s, text, (size_t)(prefix_len + len)) == 0);
    CHECK(suiro_set_i64(record, n, 2 * 7) == 0 && suiro_set_f64(record, x, 0.25) == 0);
    CHECK(suiro_set_f64(record, x, __builtin_nan("")) == SUIRO_INVALID);
    CHECK(suiro_set_bool(record, SUIRO_FIELD("b"), 7) == 0 && suiro_set_null(record, SUIRO_FIELD("null")) == 0);
    CHECK(suiro_set_json(record, SUIRO_FIELD("m.deep"), SUIRO_TEXT("[1]")) == 0);
    CHECK(suiro_set_json(record, SUIRO_FIELD("m.deep"), SUIRO_TEXT("[")) == SUIRO_BAD_TEXT);
    CHECK(suiro_set_str(record, SUIRO_FIELD("@tag"), SUIRO_TEXT("x")) == SUIRO_DENIED);
    CHECK(suiro_remove(record, SUIRO_FIELD("gone")) == 1 && suiro_remove(record, none) == 0);
    walk(record);
    CHECK(suiro_timestamp(record) > 0 && suiro_set_timestamp(record, 5) == 0 && suiro_timestamp(record) == 5);
    len = suiro_tag(record, text, sizeof text);
    CHECK(suiro_is(text, len, sizeof text, "test") && suiro_set_tag(record, SUIRO_TEXT("other")) == 0);
    CHECK(suiro_set_tag(record, SUIRO_TEXT("")) == SUIRO_BAD_TEXT);
    suiro_record emitted = suiro_emit(record, SUIRO_TEXT("{\"emitted\":1}"));
    CHECK(emitted > record && suiro_emit(record, SUIRO_TEXT("[]")) == SUIRO_BAD_TEXT);
    len = suiro_json(emitted, text, sizeof text);
    CHECK(suiro_is(text, len, sizeof text, "{\"emitted\":1}"));
    CHECK(suiro_replace_json(emitted, SUIRO_TEXT("{\"replaced\":2}")) == 0);
    CHECK(suiro_counter(SUIRO_TEXT("seen"), 2) == 0 && suiro_counter(SUIRO_TEXT("No"), 1) == SUIRO_BAD_TEXT);
    CHECK(suiro_gauge(SUIRO_TEXT("level"), 0.5) == 0 && suiro_now_ns() > 0);
    (void)suiro_random();
    return SUIRO_KEEP;
}

static void flush(void) {
    suiro_log(SUIRO_INFO, SUIRO_TEXT("flushed"));
}

SUIRO_FILTER(everything)
SUIRO_INIT(init)
SUIRO_FLUSH(flush)
