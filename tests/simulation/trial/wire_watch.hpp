// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "actors/protocol.hpp"
#include "tests/simulation/trial/observer.hpp"
#include "tests/simulation/world/process.hpp"

namespace troupe::simulation {

/// Hears every message between processes and holds them to what no single actor can see: who has a lease when another
/// epoch begins (I7), who speaks without one (I8), what two answers for one position say (I10), how much a client that
/// takes nothing is sent (I12).
class wire_watch {
 public:
  wire_watch(timeline& time, observer& watcher) : time_(time), watcher_(watcher) {}

  void sent(const process& from, const process& to, const caf::message& payload);
  void delivered(const process& to, const caf::message& payload);

  /// Tokens of all requests as they were given to groups: what has to be computed because of a placement.
  std::uint64_t tokens_placed() const { return tokens_placed_; }

 private:
  /// What a rank's process was last allowed.
  struct rank_right {
    const process* home = nullptr;
    std::string group;
    std::uint64_t epoch = 0;
    instant until{};
  };
  struct known_epochs {
    std::uint64_t begun = 0;         ///< the greatest with members
    std::set<std::uint64_t> served;  ///< those that some topology actor has called serving
  };
  struct credit_book {
    std::uint64_t given = 0;
    std::uint64_t used = 0;
    std::set<std::uint64_t> tickets;
  };

  void note_view(const process& by, const group_view& group);
  template <class Predicate>
  const rank_right* find_right(const std::string& group, Predicate is_meant) const;
  void note_successor(const cluster_view& view);
  void note_counts(const cluster_view& view);
  void note_right(const process& of, const std::string& group, std::uint64_t epoch, std::int64_t until_ns);
  void check_right(const process& of, std::uint64_t epoch, const char* what);
  void note_enqueue(const enqueue& message);
  void note_tokens(const tokens_sampled& message);
  void note_submit(const process& from, const process& to, const submit& message);
  void note_answer(const process& to, const answer& message);
  void note_error(const caf::error& reason);

  timeline& time_;
  observer& watcher_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, rank_right> rights_;  ///< by process and epoch
  std::set<std::uint32_t> failed_;                                        ///< ranks that have called themselves failed
  std::map<std::string, known_epochs> epochs_;                            ///< by group
  std::map<std::tuple<std::string, std::uint64_t, std::uint64_t, std::uint32_t>, token_id> answers_;
  std::map<std::string, std::uint64_t> spoke_;  ///< greatest epoch of a group that told tokens
  std::set<std::pair<std::uint64_t, std::uint64_t>> placed_;
  std::map<std::vector<token_id>, std::uint64_t> placed_in_;                 ///< epoch, by prompt
  std::map<request_key, std::string> asked_at_;                              ///< host of the router asked last
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> window_;  ///< credit of each ticket of a client
  std::map<request_id, credit_book> credits_;
  std::map<std::uint64_t, membership_counts> counts_;                          ///< by generation
  std::set<std::tuple<std::uint64_t, std::string, std::uint64_t>> succeeded_;  ///< generation, group, epoch: counted
  std::uint64_t tokens_placed_ = 0;
};

}  // namespace troupe::simulation
