/* Drops records of level `debug`, and notes in the others that it saw them. */
#include "suiro_filter.h"

static suiro_verdict no_debug(suiro_record record) {
    char level[16];
    int32_t len = suiro_get(record, SUIRO_FIELD("level"), level, sizeof level);
    if (suiro_is(level, len, sizeof level, "debug")) {
        return SUIRO_DROP;
    }
    suiro_set_bool(record, SUIRO_FIELD("seen"), 1);
    return SUIRO_KEEP;
}

SUIRO_FILTER(no_debug)
