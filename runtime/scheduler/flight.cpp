// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/flight.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace troupe {

void check_result(const flight& expected, const step_result& result) {
  if (result.epoch != expected.epoch || result.step != expected.step)
    throw result_error(
        fmt::format("a result is of step {} in epoch {}, and step {} in epoch {} is the next to complete", result.step,
                    result.epoch.value, expected.step, expected.epoch.value));
  const auto samples = static_cast<std::size_t>(std::ranges::count_if(expected.shares, &flight_share::sample));
  if (result.sampled.size() != samples)
    throw result_error(fmt::format("the result of step {} has {} sampled tokens, and its plan asks for {}", result.step,
                                   result.sampled.size(), samples));
  auto got = result.sampled.begin();
  for (const auto& share : expected.shares) {
    if (!share.sample) continue;
    if (got->sequence != share.fed->id || got->position != share.end())
      throw result_error(
          fmt::format("the result of step {} has a token of sequence {} at position {}, and its plan asks "
                      "for one of sequence {} at position {}",
                      result.step, got->sequence.value, got->position, share.fed->id.value, share.end()));
    if (got->token < 0)
      throw result_error(fmt::format("the result of step {} has token id {} for sequence {}", result.step, got->token,
                                     got->sequence.value));
    ++got;
  }
}

}  // namespace troupe
