// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/block_ledger.hpp"

#include <fmt/format.h>

namespace troupe::simulation {

void block_ledger::append(held_sequence& to, token_id token) {
  auto hash = to.prefixes.empty() ? 0x51ed270b7a3f19c5U : to.prefixes.back();
  hash = (hash ^ static_cast<std::uint64_t>(token)) * 0xbf58476d1ce4e5b9U;
  to.tokens.push_back(token);
  to.prefixes.push_back(hash ^ (hash >> 29U));
}

std::string block_ledger::apply(const step_plan& plan) {
  for (auto id : plan.ended) {
    auto over = sequences_.extract(id);
    if (!over) continue;
    for (auto block : over.mapped().blocks)
      --users_[block];
    if (!over.mapped().prefixes.empty()) left_.insert(over.mapped().prefixes.back());
  }
  for (const auto& each : plan.started)
    if (auto fault = start(each); !fault.empty()) return fault;
  for (const auto& each : plan.entries)
    if (auto fault = feed(each); !fault.empty()) return fault;
  return {};
}

std::string block_ledger::start(const sequence_start& start) {
  auto& sequence = sequences_[start.sequence];
  for (auto token : start.cached_tokens)
    append(sequence, token);
  sequence.blocks = start.blocks;
  for (auto block : start.blocks)
    ++users_[block];
  for (std::size_t at = 0; at < sequence.tokens.size(); ++at) {
    auto slot = slots_.find({sequence.blocks.at(at / block_tokens_), at % block_tokens_});
    if (slot == slots_.end() || slot->second != sequence.prefixes[at])
      return fmt::format("sequence {} is to read position {} of block {}, which holds another text",
                         start.sequence.value, at, sequence.blocks[at / block_tokens_]);
    returned_ += left_.erase(sequence.prefixes[at]);
  }
  return {};
}

std::string block_ledger::take_block(held_sequence& by, block_id block) {
  if (users_[block]++ > 0) return fmt::format("block {} is given away while it is in use", block);
  by.blocks.push_back(block);
  return {};
}

std::string block_ledger::feed(const step_entry& entry) {
  auto& sequence = sequences_[entry.sequence];
  for (auto block : entry.new_blocks)
    if (auto fault = take_block(sequence, block); !fault.empty()) return fault;
  auto tokens = entry.feed_sampled ? std::vector<token_id>{sampled_(sequence.tokens)} : entry.tokens;
  for (auto token : tokens) {
    auto at = sequence.tokens.size();
    append(sequence, token);
    if (at / block_tokens_ >= sequence.blocks.size())
      return fmt::format("sequence {} has no block for position {}", entry.sequence.value, at);
    auto block = sequence.blocks[at / block_tokens_];
    if (users_[block] > 1) return fmt::format("block {} is written while others read it", block);
    slots_[{block, at % block_tokens_}] = sequence.prefixes.back();
    returned_ += left_.erase(sequence.prefixes.back());
  }
  return {};
}

}  // namespace troupe::simulation
