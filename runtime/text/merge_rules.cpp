// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/merge_rules.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>

namespace troupe {
namespace {

// Up to here looking at every pair again is cheaper than keeping a heap.
constexpr std::size_t scan_limit = 24;

// The word as a doubly linked list in arrays, with the rule that applies to each symbol and its right neighbour.
struct symbol {
  token_id id;
  std::uint32_t previous;
  std::uint32_t next;
  merge_rules::rule pair;  // no_rank: none, or the symbol is gone
};

constexpr std::uint32_t none = ~std::uint32_t{0};

}  // namespace

void merge_rules::apply(std::vector<token_id>& ids, std::size_t first) const {
  const std::size_t count = ids.size() - first;
  if (count < 2) return;
  if (count <= scan_limit) {
    apply_by_scanning(ids, first);
  } else {
    apply_by_heap(ids, first);
  }
}

void merge_rules::apply_by_scanning(std::vector<token_id>& ids, std::size_t first) const {
  std::array<rule, scan_limit> pairs;
  token_id* const word = ids.data() + first;
  std::size_t count = ids.size() - first;
  for (std::size_t i = 0; i + 1 < count; ++i)
    pairs[i] = find(word[i], word[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == no_rank) break;
    word[best] = pairs[best].merged;
    for (std::size_t i = best + 1; i + 1 < count; ++i) {
      word[i] = word[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best > 0) pairs[best - 1] = find(word[best - 1], word[best]);
    if (best + 1 < count) pairs[best] = find(word[best], word[best + 1]);
  }
  ids.resize(first + count);
}

void merge_rules::apply_by_heap(std::vector<token_id>& ids, std::size_t first) const {
  std::vector<symbol> word(ids.size() - first);
  std::vector<std::uint64_t> candidates;  // rank, then position: the order in which merges happen
  const auto candidate = [](const rule& r, std::size_t position) { return (std::uint64_t{r.rank} << 32U) | position; };
  const auto count = static_cast<std::uint32_t>(word.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    word[i] = {ids[first + i], i == 0 ? none : i - 1, i + 1 == count ? none : i + 1, {}};
    if (i + 1 == count) continue;
    word[i].pair = find(ids[first + i], ids[first + i + 1]);
    if (word[i].pair.rank != no_rank) candidates.push_back(candidate(word[i].pair, i));
  }
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue(std::greater<>{},
                                                                                       std::move(candidates));
  const auto look_again = [&](std::uint32_t i) {
    word[i].pair = word[i].next == none ? rule{} : find(word[i].id, word[word[i].next].id);
    if (word[i].pair.rank != no_rank) queue.push(candidate(word[i].pair, i));
  };
  while (!queue.empty()) {
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32U);
    const auto i = static_cast<std::uint32_t>(queue.top() & 0xFFFFFFFFU);
    queue.pop();
    if (word[i].pair.rank != rank) continue;  // the pair changed since it was queued
    const std::uint32_t gone = word[i].next;
    word[i].id = word[i].pair.merged;
    word[i].next = word[gone].next;
    word[gone].pair = {};
    if (word[i].next != none) word[word[i].next].previous = i;
    look_again(i);
    if (word[i].previous != none) look_again(word[i].previous);
  }
  ids.resize(first);
  for (std::uint32_t i = 0; i != none; i = word[i].next)
    ids.push_back(word[i].id);
}

}  // namespace troupe
