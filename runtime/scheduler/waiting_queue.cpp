// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/waiting_queue.hpp"

#include <cassert>
#include <utility>

namespace troupe {

void waiting_queue::insert(turn key, generation_request request) {
  assert(!contains(request.id));
  turns_.emplace(request.id, key);
  entries_.emplace(key, waiting_request{.request = std::move(request)});
}

generation_request waiting_queue::take(turn key) {
  auto node = entries_.extract(key);
  assert(node);
  turns_.erase(node.mapped().request.id);
  return std::move(node.mapped().request);
}

bool waiting_queue::erase(request_id request) {
  const auto found = turns_.find(request);
  if (found == turns_.end()) return false;
  entries_.erase(found->second);
  turns_.erase(found);
  return true;
}

}  // namespace troupe
