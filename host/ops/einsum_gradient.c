// The gradient of Einsum: for one operand again an Einsum, of the output's gradient and the other operand, with the
// terms of the equation in other places.
#include <stdio.h>
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

enum { TERM = 64 };

typedef struct equation {
    char term[2][TERM], out[TERM];  // "..." is a '.'
    size_t operands;
} equation;

// Copies a term without spaces up to one of the ends; false: it is too long.
static bool read_term(const char **at, const char *ends, char *term) {
    size_t length = 0;
    for (; **at && !strchr(ends, **at); ++*at) {
        if (**at == ' ' || (**at == '.' && length && term[length - 1] == '.')) continue;
        if (length + 1 >= TERM) return false;
        term[length++] = **at;
    }
    term[length] = 0;
    return true;
}

static size_t occurrences(const char *text, char c) {
    size_t count = 0;
    for (; *text; text++) count += *text == c;
    return count;
}

static bool read_equation(const tm_node *node, equation *e) {
    const char *at = tm_attr_string(node, "equation", "");
    e->operands = node->input_count;
    if (e->operands < 1 || e->operands > 2) return false;
    for (size_t i = 0; i < e->operands; i++) {
        if (!read_term(&at, ",-", e->term[i]) || (i + 1 < e->operands && *at != ',')) return false;
        if (i + 1 < e->operands) at++;
    }
    if (at[0] == '-' && at[1] == '>') {
        at += 2;
        return read_term(&at, "", e->out);
    }
    // Without an output: the ellipsis, then the letters that occur once, sorted.
    size_t length = 0;
    if (strchr(e->term[0], '.') || strchr(e->term[1], '.')) e->out[length++] = '.';
    for (char c = 'A'; c <= 'z'; c++)
        if (occurrences(e->term[0], c) + occurrences(e->term[1], c) == 1 && length + 1 < TERM) e->out[length++] = c;
    e->out[length] = 0;
    return *at == 0;
}

// Each label of an operand and of the output once.
static bool can_invert(const equation *e, size_t operand) {
    for (const char *c = e->term[operand]; *c; c++)
        if (occurrences(e->term[operand], *c) > 1) return false;
    for (const char *c = e->out; *c; c++)
        if (occurrences(e->out, *c) > 1) return false;
    return strchr(e->term[operand], '.') || !strchr(e->out, '.');
}

// Labels of an operand that nothing else has are summed over: its gradient is the same along them. Leaves them out of
// the term; axes: where they were, after an ellipsis counted from the end.
static size_t leave_out(const equation *e, size_t operand, char *term, int64_t *axes) {
    const char *own = e->term[operand], *other = e->operands > 1 ? e->term[1 - operand] : "", *dots = strchr(own, '.');
    size_t kept = 0, missing = 0, length = strlen(own);
    for (size_t i = 0; i < length; i++) {
        if (own[i] == '.' || strchr(e->out, own[i]) || strchr(other, own[i]))
            term[kept++] = own[i];
        else
            axes[missing++] = dots && own + i > dots ? (int64_t)i - (int64_t)length : (int64_t)i;
    }
    term[kept] = 0;
    return missing;
}

static void append(char *text, size_t size, const char *term) {
    for (; *term; term++) {
        size_t used = strlen(text);
        if (*term == '.')
            snprintf(text + used, size - used, "...");
        else
            snprintf(text + used, size - used, "%c", *term);
    }
}

static int32_t operand_gradient(tm_backward *back, const equation *e, size_t operand) {
    char text[8 * TERM] = "", term[TERM];
    int64_t axes[TERM];
    size_t missing = leave_out(e, operand, term, axes);
    append(text, sizeof text, e->out);
    if (e->operands > 1) append(text, sizeof text, ",");
    if (e->operands > 1) append(text, sizeof text, e->term[1 - operand]);
    append(text, sizeof text, "->");
    append(text, sizeof text, term);
    int32_t g = tm_back_from(back, 0), x = tm_back_in(back, operand);
    int32_t value =
        e->operands > 1 ? TM_BACK(back, "Einsum", g, tm_back_in(back, 1 - operand)) : TM_BACK(back, "Einsum", g);
    tm_back_string(back, "equation", text);
    if (!missing) return value;
    value = TM_BACK(back, "Spread", x, tm_back_vector(back, axes, missing), value);
    tm_back_int(back, "keepdims", 0);
    return value;
}

void tm_gradient_einsum(tm_backward *back) {
    equation e = {.operands = 0};
    bool read = read_equation(tm_back_node(back), &e);
    for (size_t i = 0; i < 2; i++) {
        if (!tm_back_wants(back, i)) continue;
        if (read && can_invert(&e, i))
            tm_back_give_sum(back, i, operand_gradient(back, &e, i));
        else
            tm_back_refuse(back, "for an equation with diagonals");
    }
}
