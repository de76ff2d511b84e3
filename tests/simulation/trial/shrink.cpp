// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/shrink.hpp"

#include <string>
#include <vector>

#include "tests/simulation/trial/campaign.hpp"
#include "tests/simulation/trial/faults.hpp"

namespace troupe::simulation {
namespace {

class shrinker {
 public:
  shrinker(const trial_options& failing, std::string invariant) : best_(failing), invariant_(std::move(invariant)) {}

  shrunk run() {
    switch_classes_off();
    cut_time();
    take_requests_away();
    make_network_plain();
    leave_faults_out();
    cut_time();
    return {best_, runs_, draw_faults(best_).size()};
  }

 private:
  /// Keeps `candidate` when it fails in the same way.
  bool try_it(const trial_options& candidate) {
    ++runs_;
    if (run_apart(candidate).invariant != invariant_) return false;
    best_ = candidate;
    return true;
  }

  /// Sets one field to zero, or at least lower.
  bool lower(std::string_view name, std::uint64_t value) {
    auto candidate = best_;
    bool changed = false;
    for_each_field(candidate, [&](std::string_view field, std::uint64_t& target) {
      if (field != name || target <= value) return;
      target = value;
      changed = true;
    });
    return changed && try_it(candidate);
  }

  void switch_classes_off() {
    std::vector<std::string> classes;
    auto copy = best_;
    for_each_fault(copy, [&](std::string_view name, std::uint64_t& count) {
      if (count > 0) classes.emplace_back(name);
    });
    for (const auto& name : classes)
      lower(name, 0);
  }

  void cut_time() {
    for (auto step = best_.busy() / 2; step >= 20; step /= 2) {
      auto candidate = best_;
      if (candidate.busy() <= step) continue;
      candidate.cut_ms = candidate.busy() - step;
      if (try_it(candidate)) step *= 2;
    }
  }

  void take_requests_away() {
    lower("clients", 1);
    while (best_.requests > 1 && lower("requests", best_.requests - 1)) {
    }
    lower("slow_clients", 0);
    lower("cancels", 0);
  }

  void make_network_plain() {
    lower("spikes", 0);
    lower("reorder", 0);
    lower("overtaking", 0);
    lower("jitter_us", 0);
  }

  /// Halves, then quarters, down to single faults.
  void leave_faults_out() {
    for (auto size = std::max<std::size_t>(1, draw_faults(best_).size() / 2); size >= 1; size /= 2)
      for (std::size_t first = 0; first < draw_faults(best_).size();) {
        auto faults = draw_faults(best_);
        auto candidate = best_;
        for (auto i = first; i < std::min(first + size, faults.size()); ++i)
          candidate.without.push_back(faults[i].number);
        if (!try_it(candidate)) first += size;
      }
  }

  trial_options best_;
  std::string invariant_;
  std::uint64_t runs_ = 0;
};

}  // namespace

shrunk shrink(const trial_options& failing, const std::string& invariant) { return shrinker{failing, invariant}.run(); }

}  // namespace troupe::simulation
