// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/flat_map.hpp"

#include <bit>
#include <utility>

namespace troupe {

flat_map::flat_map(std::size_t expected_size) { grow(std::bit_ceil(2 * expected_size + 2)); }

void flat_map::assign(std::uint64_t key, std::uint64_t value) {
  if (2 * (size_ + 1) > slots_.size()) grow(2 * slots_.size());
  std::size_t i = slot_of(key);
  while (slots_[i].key != no_key && slots_[i].key != key)
    i = (i + 1) & mask_;
  if (slots_[i].key == no_key) ++size_;
  slots_[i] = {key, value};
}

void flat_map::grow(std::size_t slots) {
  const std::vector<slot> old = std::exchange(slots_, std::vector<slot>(slots));
  mask_ = slots - 1;
  size_ = 0;
  for (const slot& s : old)
    if (s.key != no_key) assign(s.key, s.value);
}

}  // namespace troupe
