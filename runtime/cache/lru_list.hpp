// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

/// An order of small integers from the least to the most recently used, each in it at most once. Every operation takes
/// constant time, whatever the length.
class lru_list {
 public:
  static constexpr std::int32_t none = -1;

  /// For the integers 0 to `capacity` - 1.
  explicit lru_list(std::size_t capacity) : links_(capacity) {}

  std::int32_t oldest() const { return first_; }
  std::int32_t next(std::int32_t item) const { return link(item).next; }
  bool contains(std::int32_t item) const { return link(item).listed; }
  std::size_t size() const { return size_; }

  void push_newest(std::int32_t item) {
    assert(!contains(item));
    link(item) = {last_, none, true};
    (last_ == none ? first_ : link(last_).next) = item;
    last_ = item;
    ++size_;
  }

  void remove(std::int32_t item) {
    assert(contains(item));
    const auto [previous, next, listed] = link(item);
    (previous == none ? first_ : link(previous).next) = next;
    (next == none ? last_ : link(next).previous) = previous;
    link(item).listed = false;
    --size_;
  }

 private:
  struct links {
    std::int32_t previous = none;
    std::int32_t next = none;
    bool listed = false;
  };

  links& link(std::int32_t item) { return links_[static_cast<std::size_t>(item)]; }
  const links& link(std::int32_t item) const { return links_[static_cast<std::size_t>(item)]; }

  std::vector<links> links_;
  std::int32_t first_ = none;
  std::int32_t last_ = none;
  std::size_t size_ = 0;
};

}  // namespace troupe
