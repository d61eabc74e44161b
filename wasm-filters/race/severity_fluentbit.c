/* The race's filter in Fluent Bit's interface, JSON: what severity.c does, with as little work as can be done for it there.
 * It looks for the text of the member instead of parsing the record, which the race's records bear. */

void *malloc(unsigned long size);
void *memcpy(void *to, const void *from, unsigned long len);
char *strstr(const char *text, const char *part);

static char *out;
static unsigned long room;

__attribute__((export_name("severity")))
const char *severity(const char *tag, int tag_len, unsigned sec, unsigned nsec, const char *record, int record_len) {
    (void)tag, (void)tag_len, (void)sec, (void)nsec;
    static const char LEVEL[] = "\"level\":\"", SEVERITY[] = ",\"severity\":\"";
    const char *level = strstr(record, LEVEL);
    if (!level) {
        return record;
    }
    level += sizeof LEVEL - 1;
    unsigned long value = 0;
    while (level[value] && level[value] != '"') {
        value++;
    }
    /* Up to the bracket that closes it. */
    unsigned long len = (unsigned long)record_len;
    while (len > 0 && record[len - 1] != '}') {
        len--;
    }
    len -= len > 0;
    unsigned long needed = len + value + 32;
    if (needed > room) {
        /* What Fluent Bit gives can't be made larger: the old one is left. */
        out = malloc(2 * needed);
        if (!out) {
            __builtin_trap();
        }
        room = 2 * needed;
    }
    char *to = out;
    memcpy(to, record, len);
    to += len;
    memcpy(to, SEVERITY, sizeof SEVERITY - 1);
    to += sizeof SEVERITY - 1;
    memcpy(to, level, value);
    to += value;
    memcpy(to, "\"}", 3);
    return out;
}
