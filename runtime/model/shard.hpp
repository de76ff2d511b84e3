// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "runtime/model/model_config.hpp"

namespace troupe {

/// Which part of a model one rank of a tensor x pipeline group holds. World rank = stage * tensor_size + tensor_rank.
struct shard {
  std::size_t tensor_rank = 0;
  std::size_t tensor_size = 1;
  std::size_t stage = 0;
  std::size_t stages = 1;

  bool first_stage() const { return stage == 0; }
  bool last_stage() const { return stage + 1 == stages; }
  friend bool operator==(const shard&, const shard&) = default;
};

/// The part of a world rank.
inline shard shard_of_rank(std::size_t rank, std::size_t tensor_size, std::size_t stages) {
  return {rank % tensor_size, tensor_size, rank / tensor_size, stages};
}

/// [begin, begin + count).
struct index_range {
  std::size_t begin = 0;
  std::size_t count = 0;
  std::size_t end() const { return begin + count; }
  friend bool operator==(const index_range&, const index_range&) = default;
};

/// The parts that a shard's numbers stand for.
struct shard_layout {
  index_range layers;        ///< spare layers go to the first stages
  index_range heads;         ///< query heads
  index_range kv_heads;      ///< one head, held by several ranks, when there are more ranks than heads
  index_range intermediate;  ///< columns between the MLP's projections
  index_range vocabulary;    ///< the last ranks may hold fewer than `vocabulary_padded`
  std::size_t vocabulary_padded = 0;
};

/// One sentence that says what does not divide and what would, or an empty string.
std::string find_error(const model_config& config, const shard& part);

/// Throws config_error with find_error's sentence.
shard_layout make_layout(const model_config& config, const shard& part);

}  // namespace troupe
