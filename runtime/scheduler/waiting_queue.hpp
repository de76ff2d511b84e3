// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "runtime/request.hpp"
#include "runtime/scheduler/turn.hpp"

namespace troupe {

/// A request that holds no blocks, new or preempted.
struct waiting_request {
  generation_request request;
  std::uint32_t blocks_missed = 0;  ///< blocks it would have taken when last tried in vain
  std::uint32_t overtaken = 0;      ///< requests admitted past it while it did not fit
};

/// Requests in the order of their turns. Has no bound of its own: a preempted request always gets back in.
class waiting_queue {
 public:
  using entries = std::map<turn, waiting_request>;

  void insert(turn key, generation_request request);
  generation_request take(turn key);
  /// False when the request does not wait.
  bool erase(request_id request);

  bool contains(request_id request) const { return turns_.contains(request); }
  waiting_request& at(turn key) { return entries_.at(key); }
  entries::const_iterator begin() const { return entries_.begin(); }
  entries::const_iterator end() const { return entries_.end(); }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }

 private:
  entries entries_;
  std::unordered_map<request_id, turn> turns_;
};

}  // namespace troupe
