#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/platform.h"
#include "cli/noise.h"
#include "cli/verbs.h"

typedef struct bench_options {
    const char *device, *precision;
    uint32_t size, runs;
    bool json;
} bench_options;

typedef struct bench_figures {
    double load_ms, first_ms, min_ms, median_ms, longest_submit_ms;
    tagmask_device_info device;
    tagmask_device_stats memory;
    tagmask_network_stats network;
} bench_figures;

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static tagmask_status time_runs(tagmask_device *device, tagmask_network *network, const tagmask_tensor *input,
                                uint32_t runs, bench_figures *figures, tm_error *err) {
    double start = tm_now_ms();
    TM_TRY(cli_run_once(network, input, err));
    figures->first_ms = tm_now_ms() - start;
    double *times = tm_calloc(runs, sizeof *times);
    if (!times) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %u timings", runs);
    tagmask_status status = TAGMASK_OK;
    for (uint32_t i = 0; i < runs && status == TAGMASK_OK; i++) {
        start = tm_now_ms();
        status = cli_run_once(network, input, err);
        times[i] = tm_now_ms() - start;
        tagmask_device_stats stats = {.struct_size = sizeof stats};
        tagmask_device_get_stats(device, &stats);
        figures->longest_submit_ms = TM_MAX(figures->longest_submit_ms, stats.longest_submit_ms);
    }
    qsort(times, runs, sizeof *times, compare_doubles);
    figures->min_ms = times[0];
    figures->median_ms = runs % 2 ? times[runs / 2] : (times[runs / 2 - 1] + times[runs / 2]) / 2;
    free(times);
    return status;
}

static tagmask_status measure(const bench_options *options, const char *model, tagmask_device *device,
                              bench_figures *figures, tm_error *err) {
    tagmask_network *network = NULL;
    tagmask_tensor input = {0};
    const tagmask_load_options how = {.struct_size = sizeof how, .precision = options->precision};
    double start = tm_now_ms();
    TM_TRY(tagmask_network_load_with(device, model, NULL, 0, &how, &network, err));
    figures->load_ms = tm_now_ms() - start;
    tagmask_status status = cli_noise_input(network, model, options->size, &input, err);
    if (status == TAGMASK_OK)
        status = time_runs(device, network, &input, options->runs ? options->runs : 5, figures, err);
    figures->device.struct_size = sizeof figures->device;
    figures->memory.struct_size = sizeof figures->memory;
    figures->network.struct_size = sizeof figures->network;
    if (status == TAGMASK_OK) tagmask_device_get_info(device, &figures->device);
    if (status == TAGMASK_OK) tagmask_device_get_stats(device, &figures->memory);
    if (status == TAGMASK_OK) tagmask_network_get_stats(network, &figures->network);
    free(input.data);
    tagmask_network_free(network);
    return status;
}

static bool print_json(const bench_figures *figures) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "load_ms", figures->load_ms);
    cJSON_AddNumberToObject(root, "first_ms", figures->first_ms);
    cJSON_AddNumberToObject(root, "min_ms", figures->min_ms);
    cJSON_AddNumberToObject(root, "median_ms", figures->median_ms);
    cJSON_AddNumberToObject(root, "longest_submit_ms", figures->longest_submit_ms);
    cJSON_AddNumberToObject(root, "peak_device_bytes", (double)figures->memory.memory_peak);
    cJSON_AddNumberToObject(root, "activation_bytes", (double)figures->network.activation_bytes);
    cJSON_AddNumberToObject(root, "liveness_bytes", (double)figures->network.liveness_bytes);
    cJSON_AddNumberToObject(root, "weight_bytes", (double)figures->network.weight_bytes);
    cJSON_AddNumberToObject(root, "gflop", figures->network.flops * 1e-9);
    cJSON_AddNumberToObject(root, "pipelines", (double)figures->memory.pipelines);
    cJSON_AddNumberToObject(root, "pipeline_ms", figures->memory.pipeline_ms);
    cJSON_AddStringToObject(root, "device", figures->device.name);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text) puts(text);
    free(text);
    return text != NULL;
}

static void print_text(const bench_figures *figures) {
    const double mib = 1 << 20;
    printf("device             %s\n", figures->device.name);
    printf("load               %10.1f ms\n", figures->load_ms);
    printf("first run          %10.1f ms (%llu pipelines made in %.1f ms)\n", figures->first_ms,
           (unsigned long long)figures->memory.pipelines, figures->memory.pipeline_ms);
    printf("warm run, least    %10.1f ms\n", figures->min_ms);
    printf("warm run, median   %10.1f ms", figures->median_ms);
    printf(" (%.2f GFLOP, %.1f GFLOP/s)\n", figures->network.flops * 1e-9,
           figures->network.flops * 1e-6 / TM_MAX(figures->median_ms, 1e-6));
    printf("longest submit     %10.1f ms\n", figures->longest_submit_ms);
    printf("activations        %10.1f MiB (alive at once: %.1f MiB)\n", (double)figures->network.activation_bytes / mib,
           (double)figures->network.liveness_bytes / mib);
    printf("weights            %10.1f MiB\n", (double)figures->network.weight_bytes / mib);
    printf("peak device memory %10.1f MiB\n", (double)figures->memory.memory_peak / mib);
}

static cli_exit run_bench(void *data, int count, char **arguments) {
    (void)count;
    const bench_options *options = data;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    bench_figures figures = {0};
    if (!options->size) {
        cli_message("bench: expected --size N, the side of the picture; see 'tagmask bench --help'");
        return CLI_USAGE;
    }
    if (tagmask_device_open(options->device, &device, &err) != TAGMASK_OK) return cli_fail(&err);
    tagmask_status status = measure(options, arguments[0], device, &figures, &err);
    tagmask_device_close(device);
    if (status != TAGMASK_OK) return cli_fail(&err);
    if (!options->json) print_text(&figures);
    if (options->json && !print_json(&figures)) {
        cli_message("no memory for the JSON text");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static const cli_option rows[] = {
    {"size", "N", CLI_UINT, offsetof(bench_options, size), 1, 8192, .help = "side of the picture in pixels (required)"},
    {"runs", "N", CLI_UINT, offsetof(bench_options, runs), 1, 100000, .help = "timed runs (default: 5)"},
    {"json", NULL, CLI_FLAG, offsetof(bench_options, json), .help = "print one JSON object"},
    CLI_OPTION_PRECISION(bench_options, precision),
    CLI_OPTION_DEVICE(bench_options),
    {0},
};

const cli_verb cli_verb_bench = {
    .name = "bench",
    .arguments = "MODEL.onnx",
    .summary = "times a network on noise",
    .details =
        "Loads the network, runs it once on a picture of N x N noise (1 x 3 x N x N, float32, the same each time), "
        "and\n"
        "then times more runs. Times are wall-clock milliseconds and include upload and read-back.\n"
        "\n"
        "JSON keys: load_ms (reading, optimizing and uploading the network), first_ms (the warm-up run, which makes\n"
        "the pipelines), min_ms and median_ms (of the runs after it), longest_submit_ms (the longest piece of work "
        "that\n"
        "was handed to the device in them), peak_device_bytes, activation_bytes (planned), liveness_bytes (the "
        "largest\n"
        "sum of tensors alive at once: no plan needs less), weight_bytes, gflop, pipelines, pipeline_ms, device.",
    .options = rows,
    .options_size = sizeof(bench_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_bench,
};
