// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

/// How one token is chosen from its logits. The order is: logit bias, penalties, temperature, top-k, top-p, min-p,
/// draw. The draw for the token at position p uses Philox4x32-10 with key `seed` and counter p, so that it depends on
/// neither the batch nor on what was drawn before.
struct sampling_params {
  float temperature = 1.0F;         ///< 0 chooses the arg-max (lowest id on a tie)
  std::int32_t top_k = 0;           ///< keep the k most likely; 0: all
  float top_p = 1.0F;               ///< keep the smallest set whose probability reaches top_p
  float min_p = 0.0F;               ///< drop what is below min_p times the greatest probability
  float repetition_penalty = 1.0F;  ///< divides positive, multiplies negative logits of ids in prompt or output
  float presence_penalty = 0.0F;    ///< subtracted once from ids in the output
  float frequency_penalty = 0.0F;   ///< subtracted once for each time an id is in the output
  std::vector<std::pair<token_id, float>> logit_bias;
  std::uint64_t seed = 0;
  std::int32_t logprobs = -1;  ///< -1: none; 0: of the chosen token; n: and of the n most likely (at most 20)

  friend bool operator==(const sampling_params&, const sampling_params&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, sampling_params& x) {
  return f.object(x).fields(f.field("temperature", x.temperature), f.field("top_k", x.top_k), f.field("top_p", x.top_p),
                            f.field("min_p", x.min_p), f.field("repetition_penalty", x.repetition_penalty),
                            f.field("presence_penalty", x.presence_penalty),
                            f.field("frequency_penalty", x.frequency_penalty), f.field("logit_bias", x.logit_bias),
                            f.field("seed", x.seed), f.field("logprobs", x.logprobs));
}

/// When a sequence ends, as far as token ids can tell; stop strings are the detokenizer's.
struct stop_conditions {
  std::uint32_t max_tokens = 16;
  std::vector<token_id> stop_ids;  ///< ends the sequence in addition to the model's EOS ids; at most 64
  bool ignore_eos = false;         ///< the model's EOS ids do not end the sequence; stop_ids still do

  friend bool operator==(const stop_conditions&, const stop_conditions&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, stop_conditions& x) {
  return f.object(x).fields(f.field("max_tokens", x.max_tokens), f.field("stop_ids", x.stop_ids),
                            f.field("ignore_eos", x.ignore_eos));
}

enum class finish_reason : std::uint8_t {
  none,    ///< goes on
  stop,    ///< an EOS id, a stop id or a stop string
  length,  ///< max_tokens or the end of the context
  abort,   ///< the client went away or cancelled
  error,   ///< one typed error says why
};

std::string to_string(finish_reason x);

template <class Inspector>
bool inspect(Inspector& f, finish_reason& x) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t value) {
    if (value > static_cast<std::uint8_t>(finish_reason::error)) return false;
    x = static_cast<finish_reason>(value);
    return true;
  };
  return f.apply(get, set);
}

/// Returns one sentence that names the parameter out of range and its range, or an empty string.
std::string find_error(const sampling_params& params, std::int32_t vocabulary_size);
std::string find_error(const stop_conditions& stops, std::int32_t vocabulary_size);

}  // namespace troupe
