// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/device.hpp"

#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/collective/communicator.hpp"
#include "runtime/engine/scripted_executor.hpp"
#include "tests/simulation/trial/trial_options.hpp"

namespace troupe::simulation {

void meeting_place::come(const place& where, std::uint32_t rank, std::size_t size, span duration,
                         std::function<void()> go) {
  auto& meeting = meetings_[where];
  if (!meeting.ranks.insert(rank).second) return;
  meeting.go.emplace_back(duration, std::move(go));
  if (meeting.ranks.size() < size) return;
  span longest{};
  for (const auto& [length, unused] : meeting.go)
    longest = std::max(longest, length);
  time_.after(longest, [all = std::move(meeting.go)] {
    for (const auto& [unused, each] : all)
      each();
  });
  meetings_.erase(where);
}

namespace {

/// Finds the plan that feeds a poison request: at once, or, with an odd marker, a few positions on. One rank of a group
/// dies of it.
class poison_watch {
 public:
  poison_watch(std::uint64_t vocabulary, std::uint64_t rank, std::uint64_t ranks)
      : first_marker_(vocabulary - poison_markers), rank_(rank), ranks_(ranks) {}

  std::optional<token_id> find(const step_plan& plan) {
    constexpr std::uint32_t late = 10;
    for (auto ended : plan.ended)
      markers_.erase(ended);
    for (const auto& entry : plan.entries) {
      if (entry.position == 0 && !entry.tokens.empty() &&
          static_cast<std::uint64_t>(entry.tokens.front()) >= first_marker_)
        markers_[entry.sequence] = entry.tokens.front();
      auto found = markers_.find(entry.sequence);
      if (found == markers_.end()) continue;
      auto end = entry.position + std::max<std::size_t>(entry.tokens.size(), 1);
      auto marker = static_cast<std::uint64_t>(found->second);
      if ((marker % 2 == 0 || end > late) && marker / 2 % ranks_ == rank_) return found->second;
    }
    return std::nullopt;
  }

 private:
  std::uint64_t first_marker_;
  std::uint64_t rank_;
  std::uint64_t ranks_;
  std::map<sequence_id, token_id> markers_;
};

executor_factory make_factory(observer& watcher, std::shared_ptr<device_health> health, device_options options) {
  return [&watcher, health, options](const group_view& view) {
    scripted_options scripted;
    scripted.vocabulary_size = options.vocabulary;
    scripted.blocks = options.blocks;
    scripted.block_tokens = options.block_tokens;
    const auto rank = view.find_member(options.node, options.device)->rank;
    scripted.samples = rank == view.sampling_rank();
    scripted.salt_with_epoch = true;
    scripted.before_step = [&watcher, health, group = view.name, rank, loaded = view.epoch](const step_plan& plan) {
      watcher.step_ran(group, rank, loaded, plan);
      if (!std::exchange(health->failing, false)) return;
      watcher.probes().hit(probe::engine_failed);
      throw collective_error("the fault injected here");
    };
    return std::make_unique<scripted_executor>(scripted);
  };
}

/// Stands between scheduler_rank and engine_rank and gives both what they would see of each other.
class device {
 public:
  static inline const char* name = "device";

  device(caf::event_based_actor* self, process* home, meeting_place* meetings, observer* watcher,
         std::shared_ptr<device_health> health, device_options options)
      : self_(self),
        home_(home),
        meetings_(meetings),
        watcher_(watcher),
        health_(std::move(health)),
        options_(std::move(options)) {}

  caf::behavior make_behavior() {
    engine_ = home_->system().spawn<engine_rank_impl>(make_factory(*watcher_, health_, options_), load_progress{});
    self_->monitor(engine_);
    self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
    self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { self_->quit(down.reason); });
    return {
        [this](const group_view& view) {
          scheduler_ = caf::actor_cast<caf::actor>(self_->current_sender());
          view_ = view;
          poison_.emplace(options_.vocabulary, view.find_member(options_.node, options_.device)->rank,
                          view.members.size());
          self_->run_delayed(options_.load, [this, view] { self_->send(engine_, view); });
        },
        [this](step_plan& plan) {
          scheduler_ = caf::actor_cast<caf::actor>(self_->current_sender());
          plans_.push_back(std::move(plan));
          if (plans_.size() == 1) begin();
        },
        // The device is through with a step.
        [this](std::uint64_t number) {
          if (!plans_.empty() && number == begun_ && !health_->hung) self_->send(engine_, plans_.front());
        },
        [this](const engine_started& message) { self_->send(scheduler_, message); },
        [this](step_result& result) { finish(result); },
    };
  }

 private:
  void begin() {
    if (health_->hung) return watcher_->probes().hit(probe::engine_hung);
    const auto& plan = plans_.front();
    // Whoever crashes within a step does not come to its collectives, so that nobody else gets through it.
    if (auto marker = poison_->find(plan)) {
      watcher_->poison_crashed(*marker, plan.epoch.value);
      return self_->quit(make_failure(errc::engine_failed, "the engine crashed over a request"));
    }
    auto me = caf::actor_cast<caf::actor_addr>(self_);
    meetings_->come({view_.name, plan.epoch.value, plan.step}, view_.find_member(options_.node, options_.device)->rank,
                    view_.members.size(), options_.step * static_cast<std::int64_t>(health_->slower),
                    [home = home_, me, number = begun_] {
                      if (!home->alive()) return;
                      if (auto strong = caf::actor_cast<caf::actor>(me)) caf::anon_send(strong, number);
                    });
    if (view_.members.size() == 1) return;
    self_->run_delayed(options_.collective_timeout, [this, number = begun_] {
      if (begun_ == number && !health_->hung)
        self_->quit(make_failure(errc::engine_failed, "a rank did not come to the collective in time"));
    });
  }

  void finish(step_result& result) {
    self_->send(scheduler_, std::move(result));
    plans_.pop_front();
    ++begun_;
    if (!plans_.empty()) begin();
  }

  caf::event_based_actor* self_;
  process* home_;
  meeting_place* meetings_;
  observer* watcher_;
  std::shared_ptr<device_health> health_;
  device_options options_;
  engine_rank_actor engine_;
  group_view view_;  ///< that it was loaded for
  std::optional<poison_watch> poison_;
  caf::actor scheduler_;
  std::deque<step_plan> plans_;  ///< those not finished; the first one runs
  std::uint64_t begun_ = 0;      ///< steps finished
};

using device_impl = caf::stateful_actor<device>;

}  // namespace

engine_rank_actor spawn_device(process& home, meeting_place& meetings, observer& watcher,
                               std::shared_ptr<device_health> health, device_options options) {
  return caf::actor_cast<engine_rank_actor>(
      home.system().spawn<device_impl>(&home, &meetings, &watcher, std::move(health), std::move(options)));
}

}  // namespace troupe::simulation
