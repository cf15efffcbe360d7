// Of vectors of four channels; see pool_gradient.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T vec4
#define I ivec4
#define BOOL bvec4
#define LARGER(v, best, at) bvec4(uvec4(greaterThan(v, best)) | uvec4(lessThan(at, ivec4(0))))
#define SAME(a, b) equal(a, b)
#include "nn/pool_gradient.glsl"
