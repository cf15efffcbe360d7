// Common activations; see activation.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/activation.glsl"
