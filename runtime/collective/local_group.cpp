// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/local_group.hpp"

#include "runtime/collective/segment_communicator.hpp"
#include "runtime/collective/single_communicator.hpp"

namespace troupe {

std::vector<std::unique_ptr<communicator>> make_local_group(communicator_options options) {
  if (options.name.empty()) options.name = "local";
  const auto layout = layout_for(options);
  std::vector<std::unique_ptr<communicator>> ranks;
  if (options.size == 1) {
    ranks.push_back(std::make_unique<single_communicator>());
    return ranks;
  }
  const auto shared = std::make_shared<segment>(layout, -1);
  shared->initialise();
  for (int rank = 0; rank < options.size; ++rank) {
    shared->slot(rank).process = this_process();
    shared->slot(rank).presence = rank_presence::present;
  }
  for (options.rank = 0; options.rank < options.size; ++options.rank)
    ranks.push_back(std::make_unique<segment_communicator>(shared, options));
  return ranks;
}

}  // namespace troupe
