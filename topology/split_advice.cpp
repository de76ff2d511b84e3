// SPDX-License-Identifier: Apache-2.0
#include "topology/split_advice.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "topology/yaml_section.hpp"

namespace troupe {

namespace {

constexpr std::size_t shapes_max = 3;

std::uint32_t distance(std::uint32_t a, std::uint32_t b) { return a > b ? a - b : b - a; }

}  // namespace

std::string advise_shape(std::uint32_t ranks, std::uint32_t tensor, std::uint32_t pipeline) {
  std::vector<std::uint32_t> tensors;
  for (std::uint32_t candidate = 1; candidate <= ranks; ++candidate)
    if (ranks % candidate == 0) tensors.push_back(candidate);
  // First what changes one of the two numbers, then what changes the tensor degree least.
  std::stable_sort(tensors.begin(), tensors.end(), [&](std::uint32_t a, std::uint32_t b) {
    auto changes = [&](std::uint32_t x) { return x != tensor && ranks / x != pipeline; };
    if (changes(a) != changes(b)) return changes(b);
    return distance(a, tensor) < distance(b, tensor);
  });
  if (tensors.size() > shapes_max) tensors.resize(shapes_max);
  std::vector<std::string> words;
  for (auto candidate : tensors)
    words.push_back(fmt::format("tensor {} x pipeline {}", candidate, ranks / candidate));
  return join_or(words);
}

}  // namespace troupe
