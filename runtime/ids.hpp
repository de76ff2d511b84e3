// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace troupe {

/// A vocabulary index. Bulk data for kernels, so a plain integer.
using token_id = std::int32_t;
/// A page of KV cache. Bulk data for kernels, so a plain integer.
using block_id = std::int32_t;

/// An identifier that cannot be mixed up with another kind of identifier or with a count.
template <class Tag>
struct strong_id {
  std::uint64_t value = 0;
  friend auto operator<=>(const strong_id&, const strong_id&) = default;
};

template <class Inspector, class Tag>
bool inspect(Inspector& f, strong_id<Tag>& x) {
  return f.object(x).fields(f.field("value", x.value));
}

template <class Tag>
std::string to_string(strong_id<Tag> x) {
  return std::to_string(x.value);
}

/// What a client asked; unique in the cluster, made by the router that accepted it.
using request_id = strong_id<struct request_tag>;
/// One stream of tokens inside one group; made by the scheduler, never reused within an epoch.
using sequence_id = strong_id<struct sequence_tag>;
/// Generation of a group's membership. A greater one makes every message of a smaller one stale.
using epoch = strong_id<struct epoch_tag>;

}  // namespace troupe

template <class Tag>
struct std::hash<troupe::strong_id<Tag>> {
  std::size_t operator()(troupe::strong_id<Tag> x) const noexcept { return std::hash<std::uint64_t>{}(x.value); }
};
