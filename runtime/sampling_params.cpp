// SPDX-License-Identifier: Apache-2.0
#include "runtime/sampling_params.hpp"

#include <cmath>

#include <fmt/format.h>

namespace troupe {

std::string to_string(finish_reason x) {
  switch (x) {
    case finish_reason::none:
      return "none";
    case finish_reason::stop:
      return "stop";
    case finish_reason::length:
      return "length";
    case finish_reason::abort:
      return "abort";
    case finish_reason::error:
      return "error";
  }
  return "unknown";
}

namespace {

std::string range_error(const char* name, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return fmt::format("{} is {} and must be between {} and {}", name, value, low, high);
}

std::string token_error(const char* name, token_id token, std::int32_t vocabulary_size) {
  if (token >= 0 && token < vocabulary_size) return {};
  return fmt::format("{} names token id {}, and the model's ids are 0 to {}", name, token, vocabulary_size - 1);
}

}  // namespace

std::string find_error(const sampling_params& params, std::int32_t vocabulary_size) {
  const std::string ranges[] = {
      range_error("temperature", params.temperature, 0, 2),
      range_error("top_k", params.top_k, 0, vocabulary_size),
      params.top_p > 0 ? range_error("top_p", params.top_p, 0, 1) : "top_p must be above 0 and at most 1",
      range_error("min_p", params.min_p, 0, 1),
      params.repetition_penalty > 0 ? range_error("repetition_penalty", params.repetition_penalty, 0, 2)
                                    : "repetition_penalty must be above 0 and at most 2",
      range_error("presence_penalty", params.presence_penalty, -2, 2),
      range_error("frequency_penalty", params.frequency_penalty, -2, 2),
      range_error("logprobs", params.logprobs, -1, 20),
      range_error("the number of logit_bias entries", static_cast<double>(params.logit_bias.size()), 0, 1024)};
  for (const auto& error : ranges)
    if (!error.empty()) return error;
  for (const auto& [token, bias] : params.logit_bias) {
    if (auto error = token_error("logit_bias", token, vocabulary_size); !error.empty()) return error;
    if (auto error = range_error("logit_bias", bias, -100, 100); !error.empty()) return error;
  }
  return {};
}

std::string find_error(const stop_conditions& stops, std::int32_t vocabulary_size) {
  if (stops.max_tokens == 0) return "max_tokens is 0 and must be at least 1";
  if (stops.stop_ids.size() > 64)
    return fmt::format("{} stop ids are given and at most 64 are allowed", stops.stop_ids.size());
  for (auto token : stops.stop_ids)
    if (auto error = token_error("stop_token_ids", token, vocabulary_size); !error.empty()) return error;
  return {};
}

}  // namespace troupe
