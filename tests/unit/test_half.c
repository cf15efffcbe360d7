// 16-bit floats against arithmetic on doubles.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ref_half.h"
#include "support.h"

static void check(float value) {
    float got = tm_half_to_float(tm_half_from_float(value)), expected = (float)ref_half(value);
    if (memcmp(&got, &expected, sizeof got)) fail_msg("%a becomes %a, expected %a", value, got, expected);
}

// Every half, its neighbours among the floats, and what lies half-way to the next half and beside that.
static void all_halves_and_what_lies_between(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x7c00; bits++) {
        float value = tm_half_to_float((uint16_t)bits), next = tm_half_to_float((uint16_t)(bits + 1));
        if (bits == 0x7bff) next = 65536;
        float middle = value + (next - value) / 2;
        assert_int_equal(tm_half_from_float(value), bits);
        const float near[] = {value,
                              middle,
                              nextafterf(value, 0),
                              nextafterf(value, next),
                              nextafterf(middle, 0),
                              nextafterf(middle, next)};
        for (size_t i = 0; i < TM_ARRAY_LEN(near); i++) {
            check(near[i]);
            check(-near[i]);
        }
    }
}

static void the_ends(void **state) {
    (void)state;
    const float large[] = {65504, 65519, 65520, 65536, 1e6f, 3e38f, INFINITY};
    for (size_t i = 0; i < TM_ARRAY_LEN(large); i++) check(large[i]), check(-large[i]);
    assert_true(isinf(tm_half_to_float(tm_half_from_float(65520))));
    assert_true(isnan(tm_half_to_float(tm_half_from_float(NAN))));
    assert_true(isnan(tm_half_to_float(0x7c01)));
    assert_int_equal(tm_half_from_float(-0.0f), 0x8000);
    assert_int_equal(tm_half_from_float(1e-30f), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_halves_and_what_lies_between),
        cmocka_unit_test(the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
