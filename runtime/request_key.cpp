// SPDX-License-Identifier: Apache-2.0
#include "runtime/request_key.hpp"

#include <bit>
#include <charconv>
#include <random>

#include <fmt/format.h>

namespace troupe {
namespace {

constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// Takes in one thing after the other; a length goes before each that has one, so that nothing runs together.
class fingerprint {
 public:
  void add(std::uint64_t value) { state_ = mix(state_ + 0x9e3779b97f4a7c15U + value); }
  void add(float value) { add(std::uint64_t{std::bit_cast<std::uint32_t>(value)}); }
  void add(const std::string& text) {
    add(std::uint64_t{text.size()});
    for (unsigned char byte : text)
      add(std::uint64_t{byte});
  }
  void add(const std::vector<token_id>& tokens) {
    add(std::uint64_t{tokens.size()});
    for (auto token : tokens)
      add(static_cast<std::uint64_t>(token));
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 1;
};

void add_sampling(fingerprint& sum, const sampling_params& sampling) {
  for (auto value : {sampling.temperature, sampling.top_p, sampling.min_p, sampling.repetition_penalty,
                     sampling.presence_penalty, sampling.frequency_penalty})
    sum.add(value);
  sum.add(static_cast<std::uint64_t>(sampling.top_k));
  sum.add(static_cast<std::uint64_t>(sampling.logprobs));
  for (const auto& [token, bias] : sampling.logit_bias) {
    sum.add(static_cast<std::uint64_t>(token));
    sum.add(bias);
  }
}

}  // namespace

request_key make_request_key() {
  std::random_device device;
  auto word = [&device] { return std::uint64_t{device()} << 32U | device(); };
  request_key key{word(), word()};
  key.low |= 1U;  // never the key that is none
  return key;
}

std::string to_string(const request_key& key) { return fmt::format("{:016x}{:016x}", key.high, key.low); }

std::optional<request_key> parse_request_key(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  request_key key;
  auto read = [](std::string_view digits, std::uint64_t& word) {
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), word, 16);
    return problem == std::errc{} && end == digits.data() + digits.size() && digits.front() != '-';
  };
  if (!read(text.substr(0, 16), key.high) || !read(text.substr(16), key.low) || !key) return std::nullopt;
  return key;
}

request_key key_of_choice(const request_key& key, std::uint64_t choice) {
  if (choice == 0) return key;
  return {mix(key.high + choice), mix(key.low ^ mix(choice)) | 1U};
}

std::uint64_t seed_of(const request_key& key) { return mix(key.high ^ mix(key.low)); }

std::uint64_t fingerprint_of(const generation& what) {
  fingerprint sum;
  sum.add(what.model);
  sum.add(static_cast<std::uint64_t>(what.prompt.kind));
  sum.add(what.prompt.text);
  sum.add(std::uint64_t{what.prompt.messages.size()});
  for (const auto& message : what.prompt.messages) {
    sum.add(message.role);
    sum.add(message.content);
  }
  sum.add(what.prompt.tokens);
  add_sampling(sum, what.sampling);
  sum.add(std::uint64_t{what.stops.max_tokens});
  sum.add(what.stops.stop_ids);
  sum.add(std::uint64_t{what.stops.ignore_eos});
  for (const auto& stop : what.stop_strings)
    sum.add(stop);
  sum.add(std::uint64_t{what.include_stop});
  return sum.value();
}

bool same_request(const generation& a, const generation& b) {
  return fingerprint_of(a) == fingerprint_of(b) && a.draw_seed == b.draw_seed &&
         (a.draw_seed || a.sampling.seed == b.sampling.seed);
}

}  // namespace troupe
