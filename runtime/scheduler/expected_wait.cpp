// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/expected_wait.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace troupe {

namespace {

constexpr std::size_t parts_of_scale = 16;
constexpr std::size_t moments = 8 * parts_of_scale + 1;

/// What comes free, at moments that are `width` tokens apart. A sequence that may stop has ended by a moment with the
/// probability that its tokens until then held a stop, and surely by its length.
class outlook {
 public:
  outlook(const group_prospect& load, double stop_rate, double width)
      : stop_rate_(stop_rate), width_(width), places_(load.places_free), blocks_(load.blocks_free) {
    for (const auto& each : load.running)
      add(each);
  }

  /// The first moment, not before `from`, at which there is a place and that many blocks. `moments`: none is in sight.
  std::size_t find(double blocks, wait_cause& lacking) {
    while (now_ < moments) {
      const auto by_stop = 1 - std::exp(-stop_rate_ * width_ * static_cast<double>(now_));
      const bool place = places_ + by_stop * stoppable_places_ >= 1 - rounding;
      const bool memory = blocks_ + by_stop * stoppable_blocks_ >= blocks - rounding;
      if (place && memory) break;
      lacking = place ? wait_cause::blocks : wait_cause::places;
      if (++now_ < moments) pass(ends_[now_]);
    }
    return now_;
  }

  /// Takes a place and blocks for as long as the request is expected to run.
  void take(const waiting_load& request) {
    places_ -= 1;
    blocks_ -= request.blocks;
    const auto last = end_of(expected_tokens(request.tokens, request.may_stop, stop_rate_));
    if (last < moments) ends_[last].places += 1, ends_[last].blocks += request.blocks;
  }

 private:
  struct ending {
    double places = 0, blocks = 0;                      // surely
    double stoppable_places = 0, stoppable_blocks = 0;  // of these, counted by their probability until then
  };

  static constexpr double rounding = 1e-6;

  std::size_t end_of(double tokens) const {
    return now_ + std::max<std::size_t>(1, static_cast<std::size_t>(std::min(std::ceil(tokens / width_), 1e6)));
  }

  void add(const running_load& each) {
    if (each.may_stop) stoppable_places_ += 1, stoppable_blocks_ += each.blocks;
    const auto last = end_of(each.tokens_left);
    if (last >= moments) return;
    ends_[last].places += 1;
    ends_[last].blocks += each.blocks;
    if (each.may_stop) ends_[last].stoppable_places += 1, ends_[last].stoppable_blocks += each.blocks;
  }

  void pass(const ending& now) {
    places_ += now.places;
    blocks_ += now.blocks;
    stoppable_places_ -= now.stoppable_places;
    stoppable_blocks_ -= now.stoppable_blocks;
  }

  double stop_rate_, width_;
  double places_, blocks_;
  double stoppable_places_ = 0, stoppable_blocks_ = 0;
  std::size_t now_ = 0;
  std::array<ending, moments> ends_{};
};

double prompt_wait(const group_prospect& load, const pace_figures& pace) {
  const auto steps = std::floor(load.prompt_tokens_ahead / std::max(load.batch_tokens, 1.0));
  return load.prompt_tokens_ahead * pace.prompt_us + steps * pace.step_us;
}

}  // namespace

std::string_view to_string(wait_cause x) {
  switch (x) {
    case wait_cause::nothing:
      return "nothing";
    case wait_cause::places:
      return "a sequence to end";
    case wait_cause::blocks:
      return "KV memory";
    case wait_cause::prompts:
      return "the prompts before it";
  }
  return "unknown";
}

double expected_tokens(double most, bool may_stop, double stop_rate) {
  if (!may_stop || stop_rate <= 0) return most;
  return (1 - std::exp(-stop_rate * most)) / stop_rate;
}

expected_wait expect_wait(const group_prospect& load, const waiting_load& request, const pace_figures& pace,
                          double scale_us) {
  if (load.running.empty() && load.ahead.empty()) return {};
  if (pace.token_us <= 0 || scale_us <= 0) return {};
  const auto width_us = scale_us / parts_of_scale;
  outlook coming(load, pace.stop_rate, width_us / pace.token_us);
  auto lacking = wait_cause::nothing;
  auto room_for = [&](const waiting_load& x) { return coming.find(std::min(x.blocks, load.blocks), lacking); };
  for (const auto& each : load.ahead)
    if (room_for(each) < moments) coming.take(each);
  expected_wait found{static_cast<double>(room_for(request)) * width_us, lacking};
  if (found.us > 0) found.us += load.overdue_us;
  const auto reading = prompt_wait(load, pace);
  if (reading > found.us) found = {reading, wait_cause::prompts};
  found.us = std::min(found.us, static_cast<double>(moments - 1) * width_us);
  if (found.us <= 0) found.cause = wait_cause::nothing;
  return found;
}

}  // namespace troupe
