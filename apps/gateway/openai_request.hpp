// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/completion_service.hpp"
#include "runtime/generation.hpp"

namespace troupe {

enum class completion_api : std::uint8_t { chat, text };

/// A checked body of /v1/chat/completions or /v1/completions.
struct completion_request {
  completion_api api = completion_api::chat;
  std::string model;
  std::vector<generation> generations;   ///< one a choice; choice i belongs to prompt i / choices_per_prompt
  std::uint32_t choices_per_prompt = 1;  ///< the field n
  bool stream = false;
  bool include_usage = false;  ///< of a stream: one more chunk with the usage

  bool wants_logprobs() const { return generations.front().sampling.logprobs >= 0; }
};

/// Checks every field. What is wrong is an api_error that names the field and what would be right; a field that this
/// server does not honour is refused rather than ignored, except those that say nothing about the answer: user,
/// metadata, store, service_tier, safety_identifier, prompt_cache_key, prompt_cache_retention, and a message's name.
/// `fresh_seed` is used when the body has no seed.
std::variant<completion_request, api_error> parse_completion_request(completion_api api, std::string_view body,
                                                                     const served_model& model,
                                                                     std::uint64_t fresh_seed);

}  // namespace troupe
