/* tolerance.h: how far a fast operation may lie from the scalar reference in double, each with its
 * reason. These numbers are only ever lowered; a test that fails is a bug to be found.
 *
 * The error is the largest |got − expected| of a tensor over the root mean square of the expected
 * one, so that one wrong element is seen in any tensor and a cancellation is no false alarm. Unit
 * is ε = 2⁻²⁴, half a unit in the last place of f32. Inputs have magnitude about 1; inner
 * dimensions up to a few hundred. Most reasons end with the worst case measured over all
 * instruction sets. */
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
    TOL_WEIGHT_GRADIENT,
    TOL_GAIN_GRADIENT,
    TOL_EMBEDDING_GRADIENT,
    TOL_HEAD_GRADIENT,
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
    [TOL_EXACT] = {"exact", 0, 0, "copies and roundings: one right result"},
    [TOL_NORM] = {"rmsnorm", 1.5e-06, 1.5e-06,
                  "a sum of squares of up to 576 in 16 lanes (a few ε), a square root, a "
                  "quotient, two products; the largest element is 3 rms. Never rounded to bf16. "
                  "Measured 8.1e-7"},
    [TOL_LINEAR] =
        {"linear", 3e-06, 1.5e-06,
         "one accumulator over K = 576 in f32: √K·ε = 1.4e-6 of the rms, times a largest "
         "element; with plain C's two roundings 2.1e-6. In bf16 the inputs' products are "
         "exact, which halves it: 9.4e-7"},
    [TOL_ROPE] = {"qk_rope", 1.2e-06, 5e-07,
                  "the norm's error and three roundings, on elements up to 4 rms: 7.9e-7. In bf16 "
                  "beyond the half unit that the cache's type rounds by: 2.5e-7"},
    [TOL_ATTENTION] = {"attention", 2.5e-06, 2e-06,
                       "scores up to 8 over 128 dimensions are off by some 1e-6, which their "
                       "exponential turns into a relative error of each probability: 1.7e-6"},
    [TOL_LSE] = {"attention lse", 4e-07, 3e-07,
                 "a score's error over the rms of a larger number: 2e-7"},
    [TOL_SWIGLU] =
        {"swiglu", 8e-07, 8e-07,
         "exponential (2 units in the last place), quotient, two products on elements up "
         "to 10 rms: 5.4e-7"},
    [TOL_LOGITS] = {"logits", 2e-06, 1.2e-06, "as linear, K = 70: 1.3e-6"},
    [TOL_LOGPROB] = {"logprob", 5e-07, 5e-07,
                     "a logit and log Z of magnitude 10, each to half a unit in the last place: "
                     "2.9e-7"},
    [TOL_ENTROPY] = {"entropy", 1.6e-06, 1.2e-06,
                     "log Z's rounding shifts every log p by up to ε·|log Z|: 1e-6 of an entropy "
                     "near 1"},
    [TOL_NORM_BACKWARD] = {"rmsnorm_backward", 2e-06, 2e-06,
                           "two sums of up to 576 products, the second cubed rms included: 1e-6"},
    [TOL_LINEAR_BACKWARD] = {"linear_backward", 2e-06, 8e-07,
                             "as linear, N up to 130 here: 1.3e-6; in bf16 4.6e-7"},
    [TOL_LORA_GRADIENT] = {"lora_gradient", 2e-06, 2e-06,
                           "sums of up to 130 rows in f32, whatever the precision: 1.3e-6"},
    [TOL_ATTENTION_BACKWARD] = {"attention_backward", 6e-06, 6e-06,
                                "attention's probabilities, and dp − δ cancels: 3.9e-6"},
    [TOL_ROPE_BACKWARD] = {"qk_rope_backward", 1.8e-06, 1.8e-06,
                           "rotation, then rmsnorm_backward: 1.1e-6"},
    [TOL_SWIGLU_BACKWARD] = {"swiglu_backward", 1.3e-06, 1.3e-06,
                             "as swiglu, three products more: 8.4e-7"},
    [TOL_LOGPROB_BACKWARD] =
        {"logprob_backward", 1e-05, 1e-05,
         "every probability shares log Z's error of ε·|log Z|, about 5e-7, and Σ p·W is "
         "several times the rms of the rows with small dlogp: 6.5e-6. In bf16 the "
         "reference rounds its own gradient of the logits: none fell to the other "
         "neighbour"},
    [TOL_WEIGHT_GRADIENT] = {"weight_gradient", 5.5e-06, 5.5e-06,
                             "one accumulator over up to 513 rows in f32, whatever the precision: "
                             "√R·ε = 1.4e-6 of the rms, times a largest element: 3.6e-6"},
    [TOL_GAIN_GRADIENT] = {"gain_gradient", 5e-06, 5e-06,
                           "as weight_gradient, up to 660 rows and heads: 3.3e-6"},
    [TOL_EMBEDDING_GRADIENT] = {"embedding_gradient", 7.5e-07, 7.5e-07,
                                "an id comes a dozen times: 4.8e-7"},
    [TOL_HEAD_GRADIENT] =
        {"head_gradient", 5.5e-06, 5.5e-06,
         "150 rows of both signs, and a probability's error as in logprob_backward: 3.6e-6"},
    [TOL_SUM_SQUARES] =
        {"sum_squares", 4e-13, 4e-13,
         "the reference adds 200,003 squares one by one: 1.7e-13; the operation's tree "
         "itself is off by 4e-15"},
    [TOL_ADAMW] = {"adamw", 1.8e-06, 1.8e-06,
                   "five steps of 1 − β₂ = 0.001 in f32; exp_avg_sq's largest element is 5 rms: "
                   "1.1e-6"},
};

#endif
