// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

/// The bytes of each token, and the token of each byte string. Ids may have holes.
class vocabulary {
 public:
  /// `id` is not negative and not yet taken.
  void add(token_id id, std::string_view bytes, bool searchable = true);

  /// To be called once, after the last add and before the first find.
  void build_index();

  bool contains(token_id id) const {
    return id >= 0 && static_cast<std::size_t>(id) < entries_.size() && entries_[id].offset != hole;
  }
  /// `id` is contained.
  std::string_view bytes(token_id id) const {
    return std::string_view(arena_).substr(entries_[id].offset, entries_[id].length);
  }
  std::optional<token_id> find(std::string_view bytes) const;

  /// One more than the greatest id.
  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::uint32_t hole = ~std::uint32_t{0};
  struct entry {
    std::uint32_t offset = hole;
    std::uint32_t length = 0;
    bool searchable = false;
  };

  std::string arena_;
  std::vector<entry> entries_;
  std::vector<token_id> index_;  // open addressing by the hash of the bytes; -1 is empty
  std::size_t longest_ = 0;
};

}  // namespace troupe
