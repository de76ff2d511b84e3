// SPDX-License-Identifier: Apache-2.0
#include "kernels/philox.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace troupe;
using words = std::array<std::uint32_t, 4>;

TEST_CASE("Philox4x32-10 gives the numbers its authors published") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform numbers lie in [0, 1) and spread evenly over it") {
  constexpr int buckets = 64;
  constexpr int draws = 64000;
  int counts[buckets] = {};
  for (int i = 0; i < draws; ++i) {
    const auto x = philox_uniform(7, static_cast<std::uint64_t>(i));
    REQUIRE((x >= 0 && x < 1));
    ++counts[static_cast<int>(x * buckets)];
  }
  double chi_square = 0;
  for (auto count : counts)
    chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  CHECK(chi_square < 115);  // 63 degrees of freedom: exceeded with probability 1e-4
}

TEST_CASE("seed and counter use all their bits") {
  CHECK(philox_uniform(1, 2) != philox_uniform(1 + (std::uint64_t{1} << 32), 2));
  CHECK(philox_uniform(1, 2) != philox_uniform(1, 2 + (std::uint64_t{1} << 32)));
}
