/* suiro_filter.h: filters for suiro, in C. One header, no library.
 *
 *     #include "suiro_filter.h"
 *
 *     static suiro_verdict no_debug(suiro_record record) {
 *         char level[16];
 *         int32_t len = suiro_get(record, SUIRO_FIELD("level"), level, sizeof level);
 *         return suiro_is(level, len, sizeof level, "debug") ? SUIRO_DROP : SUIRO_KEEP;
 *     }
 *     SUIRO_FILTER(no_debug)
 *
 *     clang --target=wasm32 -O2 -mbulk-memory -nostdlib -Wl,--no-entry no_debug.c -o no_debug.wasm
 *
 * The functions are those of suiro_v1.md, with `suiro_` before their names. None of them traps. A result below 0 is an
 * error, SUIRO_ABSENT and so on. A text is a pointer and a length, UTF-8, without a zero behind it. A function that gives a
 * text returns its length: where that is more than `cap`, nothing was written, and a larger buffer is needed.
 *
 * Off WebAssembly the functions are declared and not defined: a test that is compiled for the machine brings its own.
 */
#ifndef SUIRO_FILTER_H
#define SUIRO_FILTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __wasm__
#define SUIRO_IMPORT(name) __attribute__((import_module("suiro_v1"), import_name(#name)))
#define SUIRO_EXPORT(name) __attribute__((export_name(#name)))
#else
#define SUIRO_IMPORT(name)
#define SUIRO_EXPORT(name)
#endif

/* A record: good until `process` returns. */
typedef int32_t suiro_record;
/* A path that was resolved; see SUIRO_FIELD. */
typedef int32_t suiro_field;

typedef enum { SUIRO_KEEP, SUIRO_DROP } suiro_verdict;

/* Errors. */
enum {
    SUIRO_ABSENT = -1,     /* there is no such field, key, or next value */
    SUIRO_WRONG_TYPE = -2, /* it is there, and is of another type */
    SUIRO_INVALID = -3,    /* a handle, field, level or pointer that does not exist */
    SUIRO_DENIED = -4,     /* it exists and can't be changed */
    SUIRO_FULL = -5,       /* a limit */
    SUIRO_BAD_TEXT = -6    /* no UTF-8, or no path, JSON, tag, name */
};

/* Kinds of values. */
enum {
    SUIRO_NULL,
    SUIRO_BOOL,
    SUIRO_INT,
    SUIRO_FLOAT,
    SUIRO_STR,
    SUIRO_BYTES,
    SUIRO_LIST,
    SUIRO_MAP
};

/* Levels of the log. */
enum { SUIRO_ERROR, SUIRO_WARN, SUIRO_INFO, SUIRO_DEBUG };

/* The value the walk is at, wherever a field is asked for. */
#define SUIRO_AT ((suiro_field)0x7fffffff)

/* Fields. Resolve a path once, not once per record: SUIRO_FIELD does. */
SUIRO_IMPORT(field) suiro_field suiro_resolve(const char *path, size_t len);
SUIRO_IMPORT(kind) int32_t suiro_kind(suiro_record record, suiro_field field);
SUIRO_IMPORT(get) int32_t suiro_get(suiro_record record, suiro_field field, char *buf, size_t cap);
SUIRO_IMPORT(get_i64) int32_t suiro_get_i64(suiro_record record, suiro_field field, int64_t *out);
SUIRO_IMPORT(get_f64) int32_t suiro_get_f64(suiro_record record, suiro_field field, double *out);
SUIRO_IMPORT(get_bool) int32_t suiro_get_bool(suiro_record record, suiro_field field);
SUIRO_IMPORT(set_str) int32_t suiro_set_str(suiro_record record, suiro_field field, const char *text, size_t len);
SUIRO_IMPORT(set_i64) int32_t suiro_set_i64(suiro_record record, suiro_field field, int64_t value);
SUIRO_IMPORT(set_f64) int32_t suiro_set_f64(suiro_record record, suiro_field field, double value);
SUIRO_IMPORT(set_bool) int32_t suiro_set_bool(suiro_record record, suiro_field field, int32_t value);
SUIRO_IMPORT(set_null) int32_t suiro_set_null(suiro_record record, suiro_field field);
SUIRO_IMPORT(set_json) int32_t suiro_set_json(suiro_record record, suiro_field field, const char *json, size_t len);
SUIRO_IMPORT(remove) int32_t suiro_remove(suiro_record record, suiro_field field);

/* Every value of a record: suiro_each begins, suiro_next goes to the next, SUIRO_AT is the value. `kinds` is a set of bits
 * `1 << SUIRO_STR`. */
SUIRO_IMPORT(each) int32_t suiro_each(suiro_record record, int32_t kinds);
SUIRO_IMPORT(next) int32_t suiro_next(char *buf, size_t cap);
SUIRO_IMPORT(path) int32_t suiro_path(char *buf, size_t cap);

/* Records. */
SUIRO_IMPORT(timestamp) int64_t suiro_timestamp(suiro_record record);
SUIRO_IMPORT(set_timestamp) int32_t suiro_set_timestamp(suiro_record record, int64_t ns);
SUIRO_IMPORT(tag) int32_t suiro_tag(suiro_record record, char *buf, size_t cap);
SUIRO_IMPORT(set_tag) int32_t suiro_set_tag(suiro_record record, const char *tag, size_t len);
SUIRO_IMPORT(drop) int32_t suiro_drop(suiro_record record);
SUIRO_IMPORT(fail) int32_t suiro_fail(suiro_record record, const char *why, size_t len);
SUIRO_IMPORT(emit) suiro_record suiro_emit(suiro_record record, const char *json, size_t len);
SUIRO_IMPORT(json) int32_t suiro_json(suiro_record record, char *buf, size_t cap);
SUIRO_IMPORT(replace_json) int32_t suiro_replace_json(suiro_record record, const char *json, size_t len);

/* Surroundings. */
SUIRO_IMPORT(config) int32_t suiro_config(const char *key, size_t key_len, char *buf, size_t cap);
SUIRO_IMPORT(log) int32_t suiro_log(int32_t level, const char *text, size_t len);
SUIRO_IMPORT(counter) int32_t suiro_counter(const char *name, size_t len, int64_t add);
SUIRO_IMPORT(gauge) int32_t suiro_gauge(const char *name, size_t len, double value);
SUIRO_IMPORT(now_ns) int64_t suiro_now_ns(void);
SUIRO_IMPORT(random) int64_t suiro_random(void);

/* The field of a path that is written here. It is resolved at first use, once per instance. */
#define SUIRO_FIELD(literal)                                                  \
    __extension__({                                                           \
        static suiro_field suiro_id = INT32_MIN;                              \
        if (suiro_id == INT32_MIN) {                                          \
            suiro_id = suiro_resolve("" literal, sizeof(literal) - 1);        \
        }                                                                     \
        suiro_id;                                                             \
    })

/* A text and its length, of a text that is written here: suiro_log(SUIRO_INFO, SUIRO_TEXT("ready")). */
#define SUIRO_TEXT(literal) ("" literal), (sizeof(literal) - 1)

/* Makes `suiro_verdict function(suiro_record)` the filter of this module. */
#define SUIRO_FILTER(function)                                                \
    SUIRO_EXPORT(suiro_version) int32_t suiro_export_version(void) { return 1; } \
    SUIRO_EXPORT(process) void suiro_export_process(int32_t count) {          \
        for (suiro_record record = 0; record < count; record++) {             \
            if (function(record) == SUIRO_DROP) {                             \
                suiro_drop(record);                                           \
            }                                                                 \
        }                                                                     \
    }

/* Makes `int32_t function(void)` what is called before the first record: 0 is ready, anything else is not. */
#define SUIRO_INIT(function)                                                  \
    SUIRO_EXPORT(init) int32_t suiro_export_init(void) { return function(); }

/* Makes `void function(void)` what is called when this instance ends. */
#define SUIRO_FLUSH(function)                                                 \
    SUIRO_EXPORT(flush) void suiro_export_flush(void) { function(); }

/* Whether what a function gave into a buffer is this text. */
static inline int suiro_is(const char *buf, int32_t len, size_t cap, const char *wanted) {
    if (len < 0 || (size_t)len > cap) {
        return 0;
    }
    for (int32_t i = 0; i < len; i++) {
        if (wanted[i] == 0 || buf[i] != wanted[i]) {
            return 0;
        }
    }
    return wanted[len] == 0;
}

#ifdef __cplusplus
}
#endif

#endif
