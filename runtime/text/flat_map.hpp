// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

/// A hash table from 64-bit keys to 64-bit values in one array: built once, then read by many threads. Written for
/// merge rules and trie edges, where a lookup is the inner loop of encoding.
class flat_map {
 public:
  /// The one key that cannot be stored.
  static constexpr std::uint64_t no_key = ~std::uint64_t{0};
  static constexpr std::uint64_t not_found = ~std::uint64_t{0};

  explicit flat_map(std::size_t expected_size = 0);

  /// A later value replaces an earlier one of the same key. `value` is not `not_found`.
  void assign(std::uint64_t key, std::uint64_t value);

  std::uint64_t find(std::uint64_t key) const {
    for (std::size_t i = slot_of(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return slots_[i].value;
      if (slots_[i].key == no_key) return not_found;
    }
  }

  std::size_t size() const { return size_; }

 private:
  struct slot {
    std::uint64_t key = no_key;
    std::uint64_t value = 0;
  };

  std::size_t slot_of(std::uint64_t key) const {
    key *= 0x9E3779B97F4A7C15U;
    return static_cast<std::size_t>(key ^ (key >> 32U)) & mask_;
  }
  void grow(std::size_t slots);

  std::vector<slot> slots_;  // a power of two, at most half full
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace troupe
