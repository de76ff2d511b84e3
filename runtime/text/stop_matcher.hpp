// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Finds the first stop string in a text that comes in increments, wherever the increments are cut. Text goes on as
/// soon as it cannot be part of a stop string. The first match is the one that ends first; of those that end together,
/// the longest.
class stop_matcher {
 public:
  static constexpr std::size_t strings_max = 16;
  static constexpr std::size_t string_bytes_max = 256;

  /// What is wrong with the stop strings of a request; empty when they can be used.
  static std::string problem_with(const std::vector<std::string>& strings);

  /// `strings` have no problem. With `include_stop`, the stop string is the end of the text.
  explicit stop_matcher(std::vector<std::string> strings, bool include_stop = false);

  /// The part of the text so far that is certain and was not returned before; whole characters if `text` is. After a
  /// match nothing more comes.
  std::string push(std::string_view text);

  /// The text ended without (another) match: what was held back.
  std::string finish();

  /// Index of the stop string that was found.
  std::optional<std::size_t> matched() const { return matched_; }

 private:
  struct pattern {
    std::string text;
    std::vector<std::size_t> fallback;  // by length matched: the longest shorter prefix that ends the same
    std::size_t length = 0;             // of the prefix that ends the text so far
  };

  static void advance(pattern& p, char byte);
  std::optional<std::size_t> longest_complete() const;
  std::size_t held_back() const;

  std::vector<pattern> patterns_;
  bool include_stop_;
  std::string held_;  // text not yet returned, at most as long as a stop string
  std::optional<std::size_t> matched_;
};

}  // namespace troupe
