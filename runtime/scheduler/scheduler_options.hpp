// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

/// What a group's scheduler may use, fixed for one epoch.
struct scheduler_options {
  troupe::epoch epoch;
  std::uint32_t blocks = 0;               ///< KV blocks, the smallest of the group's ranks (group_capacity.hpp)
  std::uint32_t block_tokens = 16;        ///< tokens a block holds
  std::uint32_t context_length = 0;       ///< most tokens of a sequence, prompt and output together
  std::uint32_t max_sequences = 256;      ///< most sequences that hold blocks at a time
  std::uint32_t max_batch_tokens = 8192;  ///< most tokens fed by one step
  std::uint32_t max_chunk_tokens = 0;     ///< most prompt tokens of one sequence in a step; 0: as many as the budget
  std::uint32_t max_queue = 1024;         ///< most requests that wait; one more is refused
  std::uint32_t max_wait_ms = 0;          ///< expected until a new request is begun, or it is refused; 0: no bound
  std::vector<token_id> eos_ids;          ///< any of them ends a sequence that does not ignore them
  std::uint32_t plans_in_flight = 1;      ///< plans made before the first one's result must be known; at most 64
  /// False: a sequence whose sampled token is not known yet is in no further plan; a pipeline of n stages uses this
  /// with plans_in_flight n, and the sequences are spread over n micro-batches. True: the next plan feeds the token
  /// unseen
  /// (`step_entry::feed_sampled`), so with plans_in_flight 2 a stop is noticed one step late.
  bool feed_sampled = false;
  bool prefix_reuse = true;  ///< false: nothing is kept of a sequence that ended
};

/// Returns one sentence that names the option out of range and its range, or an empty string.
std::string find_error(const scheduler_options& options);

}  // namespace troupe
