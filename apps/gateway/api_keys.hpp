// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

namespace troupe {

/// The keys that open the gateway. Only their SHA-256 is kept, and the time of a check does not depend on the key.
class api_keys {
 public:
  bool empty() const { return digests_.empty(); }
  void add(std::string_view key);
  bool contains(std::string_view key) const;

 private:
  using digest = std::array<unsigned char, 32>;
  static digest hash(std::string_view key);

  std::vector<digest> digests_;
};

/// Reads one key a line; empty lines and lines that start with # are skipped. Throws std::runtime_error when the file
/// cannot be read, anybody may write it, it has no key, or a key is shorter than 16 or longer than 512 characters.
api_keys load_api_keys(const std::filesystem::path& path);

}  // namespace troupe
