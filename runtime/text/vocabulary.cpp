// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/vocabulary.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <functional>

namespace troupe {

void vocabulary::add(token_id id, std::string_view bytes, bool searchable) {
  assert(id >= 0 && !contains(id));
  if (static_cast<std::size_t>(id) >= entries_.size()) entries_.resize(static_cast<std::size_t>(id) + 1);
  entries_[id] = {static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(bytes.size()), searchable};
  arena_ += bytes;
  if (searchable) longest_ = std::max(longest_, bytes.size());
}

void vocabulary::build_index() {
  index_.assign(std::bit_ceil(2 * entries_.size() + 2), -1);
  for (std::size_t id = 0; id < entries_.size(); ++id) {
    if (entries_[id].offset == hole || !entries_[id].searchable) continue;
    std::size_t slot = std::hash<std::string_view>{}(bytes(static_cast<token_id>(id))) & (index_.size() - 1);
    while (index_[slot] >= 0)
      slot = (slot + 1) & (index_.size() - 1);
    index_[slot] = static_cast<token_id>(id);
  }
}

std::optional<token_id> vocabulary::find(std::string_view wanted) const {
  if (wanted.size() > longest_ || index_.empty()) return std::nullopt;
  std::size_t slot = std::hash<std::string_view>{}(wanted) & (index_.size() - 1);
  for (; index_[slot] >= 0; slot = (slot + 1) & (index_.size() - 1))
    if (bytes(index_[slot]) == wanted) return index_[slot];
  return std::nullopt;
}

}  // namespace troupe
