/* The race's filter: reads `level` and sets `severity` to it. */
#include "suiro_filter.h"

static suiro_verdict severity(suiro_record record) {
    char level[16];
    int32_t len = suiro_get(record, SUIRO_FIELD("level"), level, sizeof level);
    if (len >= 0 && (size_t)len <= sizeof level) {
        suiro_set_str(record, SUIRO_FIELD("severity"), level, (size_t)len);
    }
    return SUIRO_KEEP;
}
SUIRO_FILTER(severity)
