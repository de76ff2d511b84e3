// SPDX-License-Identifier: Apache-2.0
#include "runtime/sampling_params.hpp"

#include <limits>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("default parameters are in range") {
  CHECK(find_error(sampling_params{}, 100).empty());
  CHECK(find_error(stop_conditions{}, 100).empty());
}

TEST_CASE("a parameter out of range is named with its range") {
  sampling_params params;
  params.temperature = 3;
  CHECK_THAT(find_error(params, 100), ContainsSubstring("temperature is 3") && ContainsSubstring("between 0 and 2"));
  params = {};
  params.top_p = 0;
  CHECK_THAT(find_error(params, 100), ContainsSubstring("top_p"));
  params = {};
  params.min_p = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(find_error(params, 100), ContainsSubstring("min_p"));
}

TEST_CASE("a token id outside the vocabulary is named with the valid range") {
  sampling_params params;
  params.logit_bias = {{100, 1.0F}};
  CHECK_THAT(find_error(params, 100), ContainsSubstring("token id 100") && ContainsSubstring("0 to 99"));
  stop_conditions stops;
  stops.stop_ids = {-1};
  CHECK_THAT(find_error(stops, 100), ContainsSubstring("token id -1"));
}
