/* A filter in Fluent Bit's interface, in C, JSON: appends the tag and the time to a record, and drops records that hold
 * `"drop":true`. It is built without a C library: what it uses of one is what Fluent Bit's runtime gives as `env`. */

void *malloc(unsigned long size);
void *memcpy(void *to, const void *from, unsigned long len);
unsigned long strlen(const char *text);
char *strstr(const char *text, const char *part);
int snprintf(char *out, unsigned long size, const char *format, ...);
int puts(const char *line);

static char *out;
static unsigned long room;

__attribute__((export_name("stamp")))
char *stamp(const char *tag, int tag_len, unsigned sec, unsigned nsec, const char *record, int record_len) {
    if (strstr(record, "\"drop\":true")) {
        puts("stamp: dropped one");
        return 0;
    }
    unsigned long needed = (unsigned long)record_len + (unsigned long)tag_len + 100;
    if (needed > room) {
        /* What Fluent Bit gives can't be made larger: the old one is left. */
        out = malloc(2 * needed);
        if (!out) {
            __builtin_trap();
        }
        room = 2 * needed;
    }
    /* Up to the bracket that closes it. */
    unsigned long len = (unsigned long)record_len;
    while (len > 0 && record[len - 1] != '}') {
        len--;
    }
    len -= len > 0;
    memcpy(out, record, len);
    const char *comma = len > 1 ? "," : "";
    snprintf(out + len, room - len, "%s\"fb_tag\":\"%.*s\",\"fb_sec\":%u,\"fb_nsec\":%u}", comma, tag_len, tag, sec, nsec);
    return out;
}
