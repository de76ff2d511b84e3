// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/gateway/key_meter.hpp"

namespace troupe {

/// The keys that open the gateway. Only their SHA-256 is kept, and the time of a check does not depend on the key.
class api_keys {
 public:
  bool empty() const { return digests_.empty(); }
  void add(std::string_view key, const key_limits& limits = {});
  bool contains(std::string_view key) const { return find(key).has_value(); }
  /// The key's number, in the order of add(); nothing for a key that is none.
  std::optional<std::size_t> find(std::string_view key) const;
  /// By the keys' numbers.
  const std::vector<key_limits>& limits() const { return limits_; }

 private:
  using digest = std::array<unsigned char, 32>;
  static digest hash(std::string_view key);

  std::vector<digest> digests_;
  std::vector<key_limits> limits_;
};

/// Reads one key a line, with its limits behind it (`requests_per_minute=60 tokens_per_minute=10000 concurrent=4`, any
/// of them); empty lines and lines that start with # are skipped. Throws std::runtime_error when the file cannot be
/// read, anybody may write it, it has no key, a key is shorter than 16 or longer than 512 characters, or a limit is
/// none.
api_keys load_api_keys(const std::filesystem::path& path);

}  // namespace troupe
