// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/key_meter.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace troupe {

namespace {

api_error reached(std::string sentence, std::chrono::milliseconds wait) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  return {"rate_limit_exceeded", fmt::format("{}; try again in {} s", sentence, seconds), "",
          static_cast<int>(seconds)};
}

}  // namespace

key_meter::key_meter(const key_limits& limits)
    : limits_(limits), requests_(limits.requests_per_minute), tokens_(limits.tokens_per_minute) {}

std::optional<api_error> key_meter::begin(time_point now) {
  if (limits_.concurrent != 0 && running_ >= limits_.concurrent)
    return reached(
        fmt::format("this API key has {} requests under way and may have {} at a time", running_, limits_.concurrent),
        std::chrono::seconds{1});
  if (limits_.requests_per_minute != 0)
    if (const auto wait = requests_.wait_for(1, now); wait.count() > 0)
      return reached(fmt::format("this API key may make {} requests a minute", limits_.requests_per_minute), wait);
  if (limits_.tokens_per_minute != 0)
    if (const auto wait = tokens_.wait_for(1, now); wait.count() > 0)
      return reached(
          fmt::format("this API key may use {} tokens a minute, of prompts and answers", limits_.tokens_per_minute),
          wait);
  requests_.take(1, now);
  ++running_;
  return std::nullopt;
}

void key_meter::end(std::uint64_t tokens, time_point now) {
  tokens_.take(static_cast<double>(tokens), now);
  --running_;
}

}  // namespace troupe
