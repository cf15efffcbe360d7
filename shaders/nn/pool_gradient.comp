// Of 32-bit words; see pool_gradient.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T float
#define I int
#define BOOL bool
#define LARGER(v, best, at) (v > best || at < 0)
#define SAME(a, b) (a == b)
#include "nn/pool_gradient.glsl"
