// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/step_plan.hpp"

namespace troupe::simulation {

/// What the KV memory of a group holds after the plans of an epoch: for each slot the whole text that its entry was
/// computed from. A plan that would read anything else, or write what another sequence reads, breaks I9.
class block_ledger {
 public:
  /// `sampled` foretells the token after a sequence.
  block_ledger(std::size_t block_size, std::function<token_id(const std::vector<token_id>&)> sampled)
      : block_tokens_(block_size), sampled_(std::move(sampled)) {}

  /// Takes the next plan. Returns what is wrong with it, or an empty string.
  std::string apply(const step_plan& plan);

  /// Sequences that were taken off and went on later in this epoch.
  std::uint64_t returned() const { return returned_; }

 private:
  struct held_sequence {
    std::vector<token_id> tokens;
    std::vector<std::uint64_t> prefixes;  ///< a hash of the tokens up to and with each position
    std::vector<block_id> blocks;
  };

  static void append(held_sequence& to, token_id token);
  std::string start(const sequence_start& start);
  std::string feed(const step_entry& entry);
  std::string take_block(held_sequence& by, block_id block);

  std::size_t block_tokens_;
  std::function<token_id(const std::vector<token_id>&)> sampled_;
  std::map<sequence_id, held_sequence> sequences_;
  std::map<block_id, std::uint32_t> users_;
  std::map<std::pair<block_id, std::size_t>, std::uint64_t> slots_;
  std::set<std::uint64_t> left_;  ///< last prefixes of the sequences that have ended
  std::uint64_t returned_ = 0;
};

}  // namespace troupe::simulation
