// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace troupe::simulation {

/// What must happen now and then: a simulation in which one of these never happens does not test what it is for.
enum class probe : std::uint8_t {
  kill_while_gathering,
  kill_while_starting,
  kill_while_serving,
  second_loss_while_reforming,
  leader_lost,
  died_slowly,
  request_moved,
  answer_over_epochs,
  resumed_at_the_same_router,
  resumed_at_another_router,
  asked_again_in_an_epoch,
  lease_over,
  lease_waited,
  lease_wait_skipped,
  stale_refused,
  queue_full,
  wait_refused,
  kv_refused,
  spare_used,
  shrunk,
  grown,
  poison_crash,
  poison_trial_died,
  service_lost,
  tokens_of_an_ended_epoch,
  connection_lost,
  one_sided_loss,
  topology_restarted,
  epoch_taken_up,
  epoch_not_taken_up,
  router_lost,
  node_restarted,
  client_stalled,
  cancelled,
  kv_preempted,
  prefix_found,
  duplicate_injected,
  process_thawed_late,
  engine_hung,
  engine_failed,
  count,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(probe::count)> probe_names{
    "kill while gathering",
    "kill while starting",
    "kill while serving",
    "second loss while re-forming",
    "leader lost",
    "killed process took its time to end",
    "request moved to another epoch",
    "answer with tokens of several epochs",
    "client resumed at the same router",
    "client resumed at another router",
    "request asked for again in its epoch",
    "lease over, and taken again",
    "lease of a lost member waited for",
    "lease wait skipped, the members were gone",
    "stale request refused",
    "refused: queue full",
    "refused: the wait",
    "refused: KV memory",
    "spare used",
    "smaller shape taken",
    "full shape taken again",
    "poison crashed its group",
    "poison crashed its group on trial",
    "service of a node lost",
    "tokens of an ended epoch arrived",
    "connection lost",
    "connection lost on one side first",
    "topology restarted",
    "epoch taken up by another topology actor",
    "epoch not taken up by another topology actor",
    "router lost",
    "node restarted",
    "client stalled",
    "request cancelled",
    "sequence preempted",
    "beginning of a text found in the cache",
    "announcement repeated",
    "process thawed after its peers gave it up",
    "engine hung",
    "engine failed",
};

/// How often each happened.
struct probe_counts {
  std::array<std::uint64_t, static_cast<std::size_t>(probe::count)> of{};
  void hit(probe which) { ++of[static_cast<std::size_t>(which)]; }
  void add(const probe_counts& other) {
    for (std::size_t i = 0; i < of.size(); ++i)
      of[i] += other.of[i];
  }
};

}  // namespace troupe::simulation
