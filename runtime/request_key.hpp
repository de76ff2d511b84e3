// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/generation.hpp"

namespace troupe {

/// A client's own name for a request, made at random. The same key names the same request at every router, so asking
/// twice is asking once. All zero: the request has no key, and nobody can ask for it again.
struct request_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  explicit operator bool() const { return high != 0 || low != 0; }
  friend auto operator<=>(const request_key&, const request_key&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, request_key& x) {
  return f.object(x).fields(f.field("high", x.high), f.field("low", x.low));
}

request_key make_request_key();

/// 32 lower-case hexadecimal digits.
std::string to_string(const request_key& key);
std::optional<request_key> parse_request_key(std::string_view text);

/// The key of a further choice of the same HTTP request; choice 0 is the key itself.
request_key key_of_choice(const request_key& key, std::uint64_t choice);

/// The seed of a request whose client gave none: the same at every router.
std::uint64_t seed_of(const request_key& key);

/// Unequal, but for chance, for requests that ask for different answers; the seed, the priority and the deadline do not
/// count.
std::uint64_t fingerprint_of(const generation& what);

/// Whether two requests under one key ask for the same.
bool same_request(const generation& a, const generation& b);

}  // namespace troupe
