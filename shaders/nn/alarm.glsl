// How a shader says that what it computes is wrong: it sets a word of its operator, which fails the recording
// (host/graph/alarm.c). ALARM: the word's binding; without it nothing is looked for.
#ifdef ALARM
layout(binding = ALARM) writeonly buffer Alarm {
    uint alarm;
};
layout(constant_id = 8) const bool WIDE = false;      // integers of more bits than the device's 32
layout(constant_id = 9) const bool UNSIGNED = false;  // that are not negative, either
#define ALARM_IF(wrong) \
    if (wrong) alarm = 1u;

bool sum_lost(ivec4 a, ivec4 b) {
    ivec4 r = a + b;
    return any(lessThan((a ^ r) & (b ^ r), ivec4(0)));
}
bool product_lost(ivec4 a, ivec4 b) {
    ivec4 high, low;
    imulExtended(a, b, high, low);
    return any(notEqual(high, low >> 31));
}
#else
#define ALARM_IF(wrong)
#endif
