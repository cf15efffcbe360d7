// cJSON prints 15 digits where those are near enough (a relative 2^-52); what a person's file holds is written as it
// was.
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/kept.h"

// The shortest of the two spellings that reads back as the number; NULL: cJSON's own does. *failed: out of memory.
static char *spell(double number, bool *failed) {
    char text[40];
    snprintf(text, sizeof text, "%.15g", number);
    if (!isfinite(number) || strtod(text, NULL) == number) return NULL;
    snprintf(text, sizeof text, "%.16g", number);
    if (strtod(text, NULL) != number) snprintf(text, sizeof text, "%.17g", number);
    char *point = strchr(text, *localeconv()->decimal_point), *copy;
    if (point) *point = '.';
    copy = tm_strdup(text);
    *failed |= !copy;
    return copy;
}

// Numbers that need it become raw text for the time of printing; they keep their value, which tells them from text that
// was raw before.
static bool spell_numbers(cJSON *item) {
    bool failed = false;
    if (cJSON_IsNumber(item)) {
        char *text = spell(item->valuedouble, &failed);
        if (text) {
            item->type = (item->type & ~0xff) | cJSON_Raw;
            item->valuestring = text;
        }
    }
    for (cJSON *child = item->child; child && !failed; child = child->next) failed = !spell_numbers(child);
    return !failed;
}

static void restore_numbers(cJSON *item) {
    if (cJSON_IsRaw(item) && item->valuedouble != 0) {
        item->type = (item->type & ~0xff) | cJSON_Number;
        free(item->valuestring);
        item->valuestring = NULL;
    }
    for (cJSON *child = item->child; child; child = child->next) restore_numbers(child);
}

char *tm_json_print(cJSON *item, bool indented) {
    char *text = NULL;
    if (spell_numbers(item)) text = indented ? cJSON_Print(item) : cJSON_PrintUnformatted(item);
    restore_numbers(item);
    return text;
}
