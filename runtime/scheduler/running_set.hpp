// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "runtime/scheduler/sequence.hpp"

namespace troupe {

/// The sequences that hold blocks, in the order of their turns. A sequence stays where it is until sweep().
class running_set {
 public:
  sequence& add(std::unique_ptr<sequence> added);

  /// The sequence of a request that has not ended, or null.
  sequence* find(request_id request) const;

  /// The request has had its end; its sequence may live on until its steps are done.
  void forget(const sequence& ended);

  /// Destroys the sequences that are gone.
  void sweep();

  /// The running sequence whose turn comes last, or null.
  sequence* last_running() const;
  /// A sequence will give its blocks back as soon as its steps in flight are done.
  bool any_leaving() const;

  const std::vector<std::unique_ptr<sequence>>& by_turn() const { return by_turn_; }
  bool empty() const { return by_turn_.empty(); }
  std::size_t size() const { return by_turn_.size(); }

 private:
  std::vector<std::unique_ptr<sequence>> by_turn_;
  std::unordered_map<request_id, sequence*> by_request_;
};

}  // namespace troupe
