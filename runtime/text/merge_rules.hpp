// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/text/flat_map.hpp"

namespace troupe {

/// The merges of a byte-pair encoding: which two neighbouring tokens become which one, and in which order of
/// preference.
class merge_rules {
 public:
  static constexpr std::uint32_t no_rank = ~std::uint32_t{0};
  struct rule {
    std::uint32_t rank = no_rank;  ///< the smallest is merged first
    token_id merged = -1;
  };

  explicit merge_rules(std::size_t expected_size = 0) : rules_(expected_size) {}

  /// A later rule replaces an earlier one of the same pair.
  void add(token_id left, token_id right, rule r) {
    rules_.assign(key(left, right), (std::uint64_t{r.rank} << 32U) | static_cast<std::uint32_t>(r.merged));
  }

  rule find(token_id left, token_id right) const {
    const std::uint64_t found = rules_.find(key(left, right));
    if (found == flat_map::not_found) return {};
    return {static_cast<std::uint32_t>(found >> 32U), static_cast<token_id>(found & 0xFFFFFFFFU)};
  }

  /// Merges the tokens of one word, which are those of `ids` from `first` on, until no rule applies: always the pair of
  /// the smallest rank, the leftmost of equals. Costs n log n for long words.
  void apply(std::vector<token_id>& ids, std::size_t first = 0) const;

 private:
  static std::uint64_t key(token_id left, token_id right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32U) | static_cast<std::uint32_t>(right);
  }
  void apply_by_scanning(std::vector<token_id>& ids, std::size_t first) const;
  void apply_by_heap(std::vector<token_id>& ids, std::size_t first) const;

  flat_map rules_;
};

}  // namespace troupe
