// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace_event.hpp"

#include <array>

#include <fmt/format.h>

namespace troupe {
namespace {

constexpr std::array names{
    "submitted",    "tokenized",  "enqueued",     "admitted",       "step-begun",   "step-done",
    "sampled",      "delivered",  "moved",        "resumed",        "finished",     "failed",
    "rank-started", "rank-lost",  "epoch-fenced", "epoch-assigned", "epoch-serves", "group-failed",
    "rank-joins",   "rank-ready", "rank-leads",   "fault-injected",
};
static_assert(names.size() == static_cast<std::size_t>(last_trace_hop) + 1);

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_string(trace_key x) {
  return x.high == 0 ? fmt::format("{:016x}", x.low) : fmt::format("{:016x}{:016x}", x.high, x.low);
}

std::optional<trace_key> parse_trace_key(std::string_view text) {
  if (text.empty() || text.size() > 32) return std::nullopt;
  trace_key key;
  for (char c : text) {
    auto digit = digit_of(c);
    if (digit < 0) return std::nullopt;
    key.high = key.high << 4U | key.low >> 60U;
    key.low = key.low << 4U | static_cast<std::uint64_t>(digit);
  }
  if (!key) return std::nullopt;
  return key;
}

std::string to_string(trace_hop x) {
  auto index = static_cast<std::size_t>(x);
  return index < names.size() ? names[index] : fmt::format("hop-{}", index);
}

}  // namespace troupe
