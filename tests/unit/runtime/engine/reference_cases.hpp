// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

struct reference_step {
  token_id token;
  float margin;  ///< to the second best logit
  float logprob;
};

/// One prompt of a reference model and what the other implementation made of it.
struct reference_case {
  std::vector<token_id> prompt;
  std::vector<reference_step> steps;
  std::vector<float> prefill_logits;  ///< of the last position of the prompt
  std::vector<float> final_logits;    ///< after feeding all generated tokens but the last
};

std::vector<reference_case> read_reference_cases(const std::string& folder);

}  // namespace troupe
