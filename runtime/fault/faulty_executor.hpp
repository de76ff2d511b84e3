// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "runtime/engine/executor.hpp"
#include "runtime/fault/fault_script.hpp"

namespace troupe {

/// An engine that was told to fail, failed.
class injected_fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What an engine cannot do to itself: kill or stop its process, close its connections. Called on the engine's thread;
/// where it is empty the engine throws or waits instead.
using process_fault = std::function<void(const fault&)>;

/// Another executor with the faults of a script around its steps.
class faulty_executor final : public executor {
 public:
  faulty_executor(std::unique_ptr<executor> inner, std::shared_ptr<fault_script> script, process_fault process = {})
      : inner_(std::move(inner)), script_(std::move(script)), process_(std::move(process)) {}

  load_report load(const load_progress& progress) override { return inner_->load(progress); }
  void begin(const step_plan& plan) override;
  std::optional<step_result> poll() override;
  bool samples() const override { return inner_->samples(); }
  void abort() noexcept override;

 private:
  using clock = std::chrono::steady_clock;
  struct begun_step {
    std::vector<fault> due;
    clock::time_point begun;
  };

  void before_step(const fault& x, const step_plan& plan);
  void after_step(const fault& x, step_result& result, clock::duration took);

  std::unique_ptr<executor> inner_;
  std::shared_ptr<fault_script> script_;
  process_fault process_;
  std::uint64_t sampled_ = 0;     ///< by the steps begun so far, on whichever rank
  std::deque<begun_step> begun_;  ///< and not given out
  clock::time_point last_end_;
};

}  // namespace troupe
