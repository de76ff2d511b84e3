// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/stop_matcher.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

// For each length, the longest proper prefix of text[0, length) that is also its end.
std::vector<std::size_t> fallbacks_of(std::string_view text) {
  std::vector<std::size_t> fallback(text.size() + 1, 0);
  for (std::size_t i = 1; i < text.size(); ++i) {
    std::size_t k = fallback[i];
    while (k > 0 && text[k] != text[i])
      k = fallback[k];
    fallback[i + 1] = text[k] == text[i] ? k + 1 : 0;
  }
  return fallback;
}

}  // namespace

std::string stop_matcher::problem_with(const std::vector<std::string>& strings) {
  if (strings.size() > strings_max)
    return fmt::format("there are {} stop strings; {} are the most", strings.size(), strings_max);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (strings[i].empty()) return fmt::format("stop string {} is empty", i);
    if (strings[i].size() > string_bytes_max)
      return fmt::format("stop string {} has {} bytes; {} are the most", i, strings[i].size(), string_bytes_max);
    if (find_invalid_utf8(strings[i])) return fmt::format("stop string {} is not valid UTF-8", i);
  }
  return {};
}

stop_matcher::stop_matcher(std::vector<std::string> strings, bool include_stop) : include_stop_(include_stop) {
  assert(problem_with(strings).empty());
  for (std::string& text : strings) {
    std::vector<std::size_t> fallback = fallbacks_of(text);
    patterns_.push_back({std::move(text), std::move(fallback), 0});
  }
}

std::string stop_matcher::push(std::string_view text) {
  if (matched_) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (pattern& p : patterns_)
      advance(p, text[i]);
    matched_ = longest_complete();
    if (!matched_) continue;
    held_ += text.substr(0, i + 1);
    if (!include_stop_) held_.resize(held_.size() - patterns_[*matched_].text.size());
    return std::exchange(held_, {});
  }
  held_ += text;
  std::string certain = held_.substr(0, held_.size() - held_back());
  held_.erase(0, certain.size());
  return certain;
}

std::string stop_matcher::finish() {
  for (pattern& p : patterns_)
    p.length = 0;
  return std::exchange(held_, {});
}

void stop_matcher::advance(pattern& p, char byte) {
  while (p.length > 0 && p.text[p.length] != byte)
    p.length = p.fallback[p.length];
  if (p.text[p.length] == byte) ++p.length;
}

std::optional<std::size_t> stop_matcher::longest_complete() const {
  std::optional<std::size_t> longest;
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    const pattern& p = patterns_[i];
    if (p.length == p.text.size() && (!longest || p.length > patterns_[*longest].length)) longest = i;
  }
  return longest;
}

std::size_t stop_matcher::held_back() const {
  std::size_t most = 0;
  for (const pattern& p : patterns_)
    most = std::max(most, p.length);
  return most;
}

}  // namespace troupe
