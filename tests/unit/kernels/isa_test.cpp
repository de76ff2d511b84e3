// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/isa.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;

TEST_CASE("the portable kernels are always there, and auto takes the fastest") {
  CHECK(available_isas().front() == isa::portable);
  CHECK(choose_isa("auto") == available_isas().back());
  CHECK(choose_isa("portable") == isa::portable);
}

TEST_CASE("an unknown instruction set is refused with the ones there are") {
  CHECK_THROWS_MATCHES(choose_isa("mmx"), std::invalid_argument,
                       Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring("'mmx'") &&
                                                       Catch::Matchers::ContainsSubstring("portable")));
}
