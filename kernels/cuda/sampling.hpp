// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.hpp"

namespace troupe {

inline constexpr std::size_t logprobs_max = 20;

/// How the token of one row is chosen: the numbers of sampling_params, and where the row's adjustments are.
struct sampling_row {
  float temperature = 0;
  std::int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::int32_t logprobs = -1;
  std::uint64_t seed = 0;
  std::uint32_t position = 0;
  std::uint32_t adjustments = 0;       ///< how many
  std::uint32_t first_adjustment = 0;  ///< among those of the call
};

/// One token of a row whose logit is changed before the choice; each token of a row at most once.
struct logit_adjustment {
  std::int32_t token = 0;
  float bias = 0;
  std::uint32_t seen = 0;     ///< in prompt or output
  std::uint32_t outputs = 0;  ///< times in the output
  float saved = 0;            ///< the raw logit, while the row is changed
};

/// What came out of one row.
struct sampling_outcome {
  std::int32_t token = -1;  ///< -1: no logit is finite
  float logprob = 0;
  std::int32_t top_token[logprobs_max];
  float top_logprob[logprobs_max];
};

/// Everything is device memory, or page-locked host memory. `logits` (f32 [rows, vocabulary]) is changed in between and
/// left as it was.
struct sampling_call {
  float* logits;
  std::size_t rows;
  std::size_t vocabulary;
  const sampling_row* params;  ///< [rows]
  logit_adjustment* adjustments;
  sampling_outcome* outcomes;  ///< [rows]
  std::int32_t* chosen;        ///< [rows], the outcomes' tokens once more, for embedding_cuda
  void* workspace;             ///< sampling_workspace_bytes(rows, vocabulary)
};

/// What the rows of a batch have in common lets whole passes be left out.
struct sampling_needs {
  bool random = false;    ///< some temperature is not 0
  bool adjusted = false;  ///< some row has adjustments
  bool logprobs = false;
};

std::size_t sampling_workspace_bytes(std::size_t rows, std::size_t vocabulary);

/// Chooses as runtime/engine/sampler.cpp does: logit bias, penalties, temperature, top-k, top-p, min-p, draw by Philox
/// with key `seed` and counter `position`. Weights are summed as whole numbers of 2^-44, so the result does not depend
/// on the order in which threads come; it differs from the CPU's only where the draw falls within rounding of a border.
void sample_cuda(const sampling_call& call, const sampling_needs& needs, cuda_stream stream);

}  // namespace troupe
