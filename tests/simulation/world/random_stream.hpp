// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::simulation {

/// Random numbers that are the same everywhere (splitmix64). Schedule, network, faults and workload each have a stream
/// of their own, so that switching a fault off leaves everything else as it was.
class random_stream {
 public:
  random_stream(std::uint64_t seed, std::string_view purpose) : state_(seed * 0x9e3779b97f4a7c15U) {
    for (char c : purpose)
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    next();
  }

  std::uint64_t next() {
    auto x = state_ += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }

  /// 0 to bound - 1; bound is at least 1.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  /// first to last, both included.
  std::uint64_t between(std::uint64_t first, std::uint64_t last) { return first + below(last - first + 1); }

  bool chance(double probability) { return static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability; }

 private:
  std::uint64_t state_;
};

}  // namespace troupe::simulation
