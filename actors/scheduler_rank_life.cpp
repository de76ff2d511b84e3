// SPDX-License-Identifier: Apache-2.0
// A rank's way through its epoch: it joins, loads, leads if it is rank 0, watches its engine, and fails.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/scheduler_rank.hpp"
#include "actors/trace_notes.hpp"
#include "topology/epoch_number.hpp"

namespace troupe {

/// A rank belongs to one epoch in its life. When it hears of a greater one it stops, and its node ends it.
void scheduler_rank::on_join(const join_group& message) {
  const auto& view = message.view;
  const auto* me = view.find_member(state_.node, state_.device);
  if (!me || me->incarnation != state_.incarnation) return;
  auto judged = fence_.judge({view.cluster, view.epoch});
  if (judged == verdict::ahead && view.phase == group_phase::starting && state_.phase == rank_phase::present)
    start(view, me->rank);
  else if (judged != verdict::current)
    return;
  take_lease(message.lease_until_ns);
  if (state_.phase == rank_phase::failed || !leads() || scheduler_) return;
  if (view.phase == group_phase::serving) view_ = view;
  reach_peers(message);
}

void scheduler_rank::start(const group_view& view, std::uint32_t rank) {
  fence_.enter(view.epoch);
  view_ = view;
  state_.phase = rank_phase::starting;
  state_.epoch = view.epoch;
  state_.group = view.name;
  state_.rank = rank;
  state_.tensor = view.tensor;
  state_.pipeline = view.pipeline;
  note_rank(options_.trace, trace_hop::rank_joins, state_);
  spdlog::info("rank-joins group={} rank={} epoch={}", state_.group, state_.rank, epoch_text(view.epoch));
  watch_.begin_load(self_->clock().now());
  watch_engine();
  self_->send(engine_, view);
  tell_node();
}

void scheduler_rank::on_started(const engine_started& message) {
  if (fence_.judge({message.cluster, message.epoch.value}) != verdict::current) return;
  watch_.end_load(self_->clock().now());
  state_.phase = rank_phase::started;
  state_.weight_bytes = message.report.weight_bytes;
  state_.kv_bytes = message.report.kv_bytes;
  state_.blocks = message.report.blocks;
  state_.block_tokens = message.report.block_tokens;
  tell_node();
  lead();
}

/// Rank 0 finds the other ranks while they load, and leads once its group serves. The node repeats join_group, so a
/// failed attempt is made again.
void scheduler_rank::reach_peers(const join_group& message) {
  for (const auto& member : view_.members) {
    if (member.rank == state_.rank || peers_.count(member.rank) > 0 || reaching_.count(member.rank) > 0) continue;
    if (member.rank < message.local.size() && message.local[member.rank]) {
      peers_[member.rank] = message.local[member.rank];
      continue;
    }
    reaching_.insert(member.rank);
    connect<scheduler_rank_actor>(
        self_, options_.network, member.door, options_.connect_timeout,
        [this, rank = member.rank](scheduler_rank_actor peer) {
          reaching_.erase(rank);
          if (peers_.count(rank) > 0) return;
          self_->monitor(peer);
          peers_[rank] = std::move(peer);
          lead();
        },
        [this, member](const caf::error& reason) {
          reaching_.erase(member.rank);
          spdlog::warn("rank-unreachable group={} rank={} door={}:{} reason=\"{}\"", state_.group, member.rank,
                       member.door.host, member.door.port, to_string(reason));
        });
  }
  lead();
}

void scheduler_rank::lead() {
  const bool ready = view_.phase == group_phase::serving && state_.phase == rank_phase::started && leads();
  if (!ready || scheduler_ || peers_.size() + 1 != view_.members.size()) return;
  auto options = options_.scheduler;
  // One stage: plan a step ahead. Several: a micro-batch for each stage and one that waits.
  options.feed_sampled = view_.pipeline == 1;
  options.plans_in_flight = view_.pipeline == 1 ? 2 : view_.pipeline + 1;
  options.epoch = epoch{view_.epoch};
  options.blocks = view_.blocks;
  options.block_tokens = view_.block_tokens;
  scheduler_.emplace(std::move(options));
  note_rank(options_.trace, trace_hop::rank_leads, state_);
  spdlog::info("group-serves group={} epoch={} ranks={} blocks={} block_tokens={}", state_.group,
               epoch_text(view_.epoch), view_.members.size(), view_.blocks, view_.block_tokens);
  answer_early();
}

/// While work is pending the engine's progress is looked at again and again.
void scheduler_rank::watch_engine() {
  if (looking_) return;
  looking_ = true;
  self_->run_delayed(progress_watch::look_interval, [this] { look_at_engine(); });
}

void scheduler_rank::look_at_engine() {
  looking_ = false;
  if (state_.phase == rank_phase::failed || !watch_.pending()) return;
  if (auto hang = watch_.look(self_->clock().now()); !hang.empty())
    return fail(loss_cause::hung, "the engine hangs: " + hang);
  watch_engine();
}

/// Warns of a rank whose own part of the steps takes much longer than it did; what it waited for others is not its own.
void scheduler_rank::note_duration(const step_result& result) {
  auto step = plain_steps_.extract(result.step);
  if (!step) return;
  auto waited = options_.progress->waited_us() - step.mapped();
  auto slow = durations_.add(result.busy_us - std::min(waited, result.busy_us));
  if (!slow) return;
  spdlog::warn("rank-slow group={} rank={} epoch={} step={} step_us={} median_us={}", state_.group, state_.rank,
               view_.epoch, result.step, slow->latest_us, slow->median_us);
}

/// The rank is of no use any more; the topology actor decides what follows.
void scheduler_rank::fail(loss_cause cause, std::string reason) {
  if (state_.phase == rank_phase::failed) return;
  spdlog::error("rank-failed group={} rank={} epoch={} reason=\"{}\"", state_.group, state_.rank,
                epoch_text(view_.epoch), reason);
  state_.phase = rank_phase::failed;
  state_.cause = cause;
  state_.message = std::move(reason);
  note_rank(options_.trace, trace_hop::rank_lost, state_);
  scheduler_.reset();
  held_.clear();
  answer_early();
  tell_node();
}

}  // namespace troupe
