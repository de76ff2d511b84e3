// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/checked_executor.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/engine/engine_error.hpp"

namespace troupe {

load_report checked_executor::load(const load_progress& progress) {
  auto report = trusted_->load(progress);
  const auto other = tested_->load({});
  if (report.block_tokens != other.block_tokens)
    throw engine_error(fmt::format("the executors to compare have blocks of {} and {} tokens", report.block_tokens,
                                   other.block_tokens));
  report.blocks = std::min(report.blocks, other.blocks);
  report.weight_bytes += other.weight_bytes;
  report.kv_bytes += other.kv_bytes;
  return report;
}

step_result checked_executor::compute(const step_plan& plan) {
  auto result = trusted_->run(plan);
  const auto other = tested_->run(plan);
  if (result.sampled.size() != other.sampled.size())
    throw engine_error(fmt::format("step {}: the executors sampled {} and {} tokens", plan.step, result.sampled.size(),
                                   other.sampled.size()));
  for (std::size_t i = 0; i < result.sampled.size(); ++i) {
    const auto& a = result.sampled[i];
    const auto& b = other.sampled[i];
    if (a.sequence != b.sequence || a.position != b.position || a.token != b.token)
      throw engine_error(fmt::format("step {}: sequence {} has token {} at position {}; the other executor has {}",
                                     plan.step, a.sequence.value, a.token, a.position, b.token));
  }
  result.busy_us += other.busy_us;
  return result;
}

void checked_executor::abort() noexcept {
  trusted_->abort();
  tested_->abort();
}

}  // namespace troupe
