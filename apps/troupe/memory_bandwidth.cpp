// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/memory_bandwidth.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

namespace troupe {
namespace {

constexpr std::size_t streams = 8;

/// Eight sums at once, so that eight pages are under way.
std::uint64_t read_all(std::span<const std::uint64_t> words) {
  const auto length = words.size() / streams;
  std::array<std::uint64_t, streams> sums{};
  for (std::size_t i = 0; i < length; ++i)
    for (std::size_t s = 0; s < streams; ++s)
      sums[s] += words[s * length + i];
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

}  // namespace

double measure_read_bandwidth(std::size_t threads) {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  const std::vector<std::uint64_t> words(bytes / sizeof(std::uint64_t), 1);
  const auto part = words.size() / threads;
  std::vector<std::uint64_t> sums(threads);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> readers;
    for (std::size_t t = 0; t < threads; ++t)
      readers.emplace_back([&, t] { sums[t] += read_all(std::span{words}.subspan(t * part, part)); });
    for (auto& reader : readers)
      reader.join();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(part * threads * sizeof(std::uint64_t)) / passed.count());
  }
  // The sums must be used, or there is nothing to read.
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) == 0 ? 0 : best;
}

}  // namespace troupe
