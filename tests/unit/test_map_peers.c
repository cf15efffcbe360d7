// Map methods against numbers that pytorch-grad-cam 1.5.5 made of a small network and a picture: tests/data/maps,
// written by tests/peers/compare_gradcam.py.
#include "io/image.h"
#include "map_records.h"

#define FOLDER TEST_DATA "/maps"

static void maps_are_those_of_the_peer(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image picture = {.struct_size = sizeof picture};
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, FOLDER, "none", &engine, &err), &err);
    assert_ok(tagmask_image_read(FOLDER "/picture.png", &picture, &err), &err);
    assert_ok(tagmask_session_create(engine, &picture, &session, &err), &err);
    compare_with_records(session, FOLDER, "thing ", 37);
    tagmask_session_free(session);
    tagmask_image_release(&picture);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_are_those_of_the_peer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
