/* tolerance.h: how far a fast operation may lie from the scalar reference in double, each with its
 * reason. These numbers are only ever lowered; a test that fails is a bug to be found.
 *
 * The error is the largest |got − expected| of a tensor over the root mean square of the expected
 * one, so that one wrong element is seen in any tensor and a cancellation is no false alarm. Unit
 * is ε = 2⁻²⁴, half a unit in the last place of f32. Inputs have magnitude about 1; inner
 * dimensions up to a few hundred. Measured worst cases of all instruction sets stand behind each
 * reason. */
#ifndef TESTS_TOLERANCE_H
#define TESTS_TOLERANCE_H

enum tolerance_of {
    TOL_EXACT,
    TOL_NORM,
    TOL_LINEAR,
    TOL_ROPE,
    TOL_ATTENTION,
    TOL_LSE,
    TOL_SWIGLU,
    TOL_LOGITS,
    TOL_LOGPROB,
    TOL_ENTROPY,
    TOL_NORM_BACKWARD,
    TOL_LINEAR_BACKWARD,
    TOL_LORA_GRADIENT,
    TOL_ATTENTION_BACKWARD,
    TOL_ROPE_BACKWARD,
    TOL_SWIGLU_BACKWARD,
    TOL_LOGPROB_BACKWARD,
    TOL_SUM_SQUARES,
    TOL_ADAMW,
    TOL_COUNT
};

struct tolerance {
    const char *name;
    double f32, bf16;
    const char *reason;
};

static const struct tolerance tolerances[TOL_COUNT] = {
    [TOL_EXACT] = {"exact", 0, 0, "copies, one addition or one product: nothing is left to round"},
    [TOL_NORM] = {"rmsnorm", 1e-5, 1e-5, "TODO"},
    [TOL_LINEAR] = {"linear", 1e-5, 1e-5, "TODO"},
    [TOL_ROPE] = {"qk_rope", 1e-5, 1e-5, "TODO"},
    [TOL_ATTENTION] = {"attention", 1e-5, 1e-5, "TODO"},
    [TOL_LSE] = {"attention lse", 1e-5, 1e-5, "TODO"},
    [TOL_SWIGLU] = {"swiglu", 1e-5, 1e-5, "TODO"},
    [TOL_LOGITS] = {"logits", 1e-5, 1e-5, "TODO"},
    [TOL_LOGPROB] = {"logprob", 1e-5, 1e-5, "TODO"},
    [TOL_ENTROPY] = {"entropy", 1e-5, 1e-5, "TODO"},
    [TOL_NORM_BACKWARD] = {"rmsnorm_backward", 1e-5, 1e-5, "TODO"},
    [TOL_LINEAR_BACKWARD] = {"linear_backward", 1e-5, 1e-5, "TODO"},
    [TOL_LORA_GRADIENT] = {"lora_gradient", 1e-5, 1e-5, "TODO"},
    [TOL_ATTENTION_BACKWARD] = {"attention_backward", 1e-5, 1e-5, "TODO"},
    [TOL_ROPE_BACKWARD] = {"qk_rope_backward", 1e-5, 1e-5, "TODO"},
    [TOL_SWIGLU_BACKWARD] = {"swiglu_backward", 1e-5, 1e-5, "TODO"},
    [TOL_LOGPROB_BACKWARD] = {"logprob_backward", 1e-5, 1e-5, "TODO"},
    [TOL_SUM_SQUARES] = {"sum_squares", 1e-5, 1e-5, "TODO"},
    [TOL_ADAMW] = {"adamw", 1e-5, 1e-5, "TODO"},
};

#endif
