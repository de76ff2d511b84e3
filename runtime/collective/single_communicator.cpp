// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/single_communicator.hpp"

#include <algorithm>

#include "runtime/collective/checks.hpp"

namespace troupe {

void single_communicator::all_reduce_sum(std::span<float>) { check_usable("all_reduce_sum"); }

void single_communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  check_gather_sizes(mine.size(), all.size(), 1);
  check_usable("all_gather");
  std::copy(mine.begin(), mine.end(), all.begin());
}

void single_communicator::broadcast(std::span<std::byte>, int root) {
  check_rank(root, 1);
  check_usable("broadcast");
}

void single_communicator::send(std::span<const std::byte>, int peer) { check_other_rank(peer, 0, 1); }

void single_communicator::receive(std::span<std::byte>, int peer) { check_other_rank(peer, 0, 1); }

void single_communicator::barrier() { check_usable("barrier"); }

void single_communicator::check_usable(const char* operation) const {
  if (aborted_) throw collective_error(std::string(operation) + " on rank 0 of 1: rank 0 aborted the group");
}

}  // namespace troupe
