// SPDX-License-Identifier: Apache-2.0
#include "kernels/dtype.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

TEST_CASE("a bfloat16 widens and rounds back to itself, NaNs excepted") {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const bf16 x{static_cast<std::uint16_t>(bits)};
    if (!std::isnan(to_float(x)) && to_bf16(to_float(x)) != x) ++wrong;
    if (std::isnan(to_float(x)) && !std::isnan(to_float(to_bf16(to_float(x))))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("rounding to bfloat16 goes to the nearest, ties to even") {
  CHECK(to_bf16(1.0F).bits == 0x3f80);
  CHECK(to_bf16(std::bit_cast<float>(0x3f808000U)).bits == 0x3f80);  // a tie, even below
  CHECK(to_bf16(std::bit_cast<float>(0x3f818000U)).bits == 0x3f82);  // a tie, even above
  CHECK(to_bf16(std::bit_cast<float>(0x3f808001U)).bits == 0x3f81);
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
}
