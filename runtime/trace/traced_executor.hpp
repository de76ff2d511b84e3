// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "runtime/engine/executor.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

/// Another executor whose loading and steps are noted.
class traced_executor final : public executor {
 public:
  traced_executor(std::unique_ptr<executor> inner, tracer trace, std::uint64_t of_epoch, std::uint16_t group,
                  std::uint16_t rank)
      : inner_(std::move(inner)), trace_(std::move(trace)), epoch_(of_epoch), group_(group), rank_(rank) {}

  load_report load(const load_progress& progress) override {
    auto report = inner_->load(progress);
    trace_({.epoch = epoch_, .count = report.blocks, .group = group_, .rank = rank_, .hop = trace_hop::rank_ready});
    return report;
  }

  void begin(const step_plan& plan) override {
    note(trace_hop::step_begun, plan.epoch, plan.step, plan.tokens());
    inner_->begin(plan);
  }

  std::optional<step_result> poll() override {
    auto result = inner_->poll();
    if (result) note(trace_hop::step_done, result->epoch, result->step, result->sampled.size());
    return result;
  }

  bool samples() const override { return inner_->samples(); }
  void abort() noexcept override { inner_->abort(); }

 private:
  void note(trace_hop hop, epoch of, std::uint64_t step, std::size_t count) const {
    trace_({.epoch = of.value,
            .step = step,
            .count = static_cast<std::uint32_t>(count),
            .group = group_,
            .rank = rank_,
            .hop = hop});
  }

  std::unique_ptr<executor> inner_;
  tracer trace_;
  std::uint64_t epoch_;
  std::uint16_t group_;
  std::uint16_t rank_;
};

}  // namespace troupe
