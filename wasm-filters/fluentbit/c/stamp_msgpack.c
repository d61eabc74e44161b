/* A filter in Fluent Bit's interface, in C, MessagePack: what stamp.c does, on records as MessagePack. It is built with
 * wasi-libc, whose `malloc` and `free` it exports. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *out;
static size_t room;

/* A length of `bytes` bytes, big-endian, at `at`. */
static uint32_t number(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* Behind the value at `at`; NULL where it does not end before `end`. */
static const uint8_t *skip(const uint8_t *at, const uint8_t *end, int depth) {
    if (at >= end || depth > 64) {
        return NULL;
    }
    uint8_t mark = *at++;
    size_t head = 0, body = 0, values = 0;
    if (mark <= 0x7f || mark >= 0xe0 || (mark >= 0xc0 && mark <= 0xc3)) {
        return at;
    } else if (mark <= 0x8f) {
        values = 2 * (mark & 15u);
    } else if (mark <= 0x9f) {
        values = mark & 15u;
    } else if (mark <= 0xbf) {
        body = mark & 31u;
    } else if (mark <= 0xc6) { /* bin */
        head = (size_t)1 << (mark - 0xc4);
    } else if (mark <= 0xc9) { /* ext */
        head = (size_t)1 << (mark - 0xc7);
        body = 1;
    } else if (mark <= 0xcb) { /* float */
        body = mark == 0xca ? 4 : 8;
    } else if (mark <= 0xd3) { /* int */
        body = (size_t)1 << (mark & 3);
    } else if (mark <= 0xd8) { /* fixext */
        body = ((size_t)1 << (mark - 0xd4)) + 1;
    } else if (mark <= 0xdb) { /* str */
        head = (size_t)1 << (mark - 0xd9);
    } else {
        head = mark & 1 ? 4 : 2;
    }
    if ((size_t)(end - at) < head) {
        return NULL;
    }
    if (head) {
        uint32_t count = number(at, (int)head);
        at += head;
        if (mark >= 0xde) {
            values = 2 * (size_t)count;
        } else if (mark >= 0xdc) {
            values = count;
        } else {
            body += count;
        }
    }
    if ((size_t)(end - at) < body) {
        return NULL;
    }
    at += body;
    while (values-- > 0 && at) {
        at = skip(at, end, depth + 1);
    }
    return at;
}

static uint8_t *put_text(uint8_t *to, const char *text, size_t len) {
    if (len < 32) {
        *to++ = (uint8_t)(0xa0 | len);
    } else {
        *to++ = 0xda;
        *to++ = (uint8_t)(len >> 8);
        *to++ = (uint8_t)len;
    }
    memcpy(to, text, len);
    return to + len;
}

static uint8_t *put_number(uint8_t *to, uint32_t value) {
    *to++ = 0xce;
    for (int shift = 24; shift >= 0; shift -= 8) {
        *to++ = (uint8_t)(value >> shift);
    }
    return to;
}

__attribute__((export_name("stamp")))
uint8_t *stamp(const char *tag, int tag_len, uint32_t sec, uint32_t nsec, const uint8_t *record, int record_len) {
    const uint8_t *end = record + record_len, *at = record + 1;
    uint32_t pairs = *record & 15;
    if (*record == 0xde || *record == 0xdf) {
        int bytes = *record == 0xde ? 2 : 4;
        pairs = number(at, bytes);
        at += bytes;
    } else if (*record >> 4 != 8) {
        __builtin_trap(); /* no map */
    }
    const uint8_t *members = at;
    for (uint32_t i = 0; i < pairs; i++) {
        const uint8_t *value = skip(at, end, 0);
        if (!value || !skip(value, end, 0)) {
            __builtin_trap(); /* it is cut */
        }
        if (value - at == 5 && memcmp(at, "\xa4" "drop", 5) == 0 && *value == 0xc3) {
            return NULL;
        }
        at = skip(value, end, 0);
    }
    size_t needed = (size_t)record_len + (size_t)tag_len + 64;
    if (needed > room) {
        room = 2 * needed;
        out = realloc(out, room);
        if (!out) {
            __builtin_trap();
        }
    }
    uint8_t *to = out;
    *to++ = 0xdf;
    for (int shift = 24; shift >= 0; shift -= 8) {
        *to++ = (uint8_t)((pairs + 3) >> shift);
    }
    memcpy(to, members, (size_t)(at - members));
    to += at - members;
    to = put_text(to, "fb_tag", 6);
    to = put_text(to, tag, (size_t)tag_len);
    to = put_text(to, "fb_sec", 6);
    to = put_number(to, sec);
    to = put_text(to, "fb_nsec", 7);
    put_number(to, nsec);
    return out;
}
