// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "topology/cluster_file.hpp"
#include "topology/shard_plan.hpp"

namespace troupe {

enum class availability : std::uint8_t {
  present,  ///< a rank waits there
  coming,   ///< one is being started there
  absent,   ///< none will be there soon, or another group uses it
};

struct place_offer {
  rank_place place;
  availability state = availability::absent;
  std::uint64_t free_memory_bytes = 0;
};

/// Bytes that the largest rank of a group of tensor x pipeline ranks needs.
using rank_need = std::function<std::uint64_t(std::uint32_t tensor, std::uint32_t pipeline)>;

/// What a group may be made of, and how long it has waited for better.
struct placement_choice {
  std::vector<place_offer> homes;   ///< the group's own places, by rank of the full shape
  std::vector<place_offer> spares;  ///< that no other group uses, the file's order
  bool spares_for_absent = true;    ///< a spare may take the place of a rank that will not be there soon
  bool spares_for_coming = false;   ///< and of one that is being started
  bool shrink = false;              ///< a smaller shape will do
  model_shape shape;                ///< decides which smaller shapes are legal; no layers: none
  rank_need need;                   ///< empty: memory is not looked at
};

struct placement {
  std::vector<rank_place> places;  ///< by rank; empty when the group cannot start
  std::uint32_t tensor = 0;
  std::uint32_t pipeline = 0;
  std::uint32_t spares_used = 0;
  std::vector<rank_place> missing;  ///< places of the full shape that nothing stands in for
  bool hopeless = false;            ///< none of the missing is being started
};

/// Where a group's ranks go: home, else on a spare of the same kind (of the same node if there is one), else, where
/// `shrink` allows it, on the largest smaller shape that model and memory allow. Everything is a value.
placement place_group(const group_spec& group, const placement_choice& choice);

}  // namespace troupe
