// SPDX-License-Identifier: Apache-2.0
#include "kernels/host_buffer.hpp"

#include <algorithm>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;

TEST_CASE("a buffer is zeroed and as large as asked") {
  for (std::size_t bytes : {std::size_t{1}, std::size_t{5} << 20}) {
    const host_buffer buffer(bytes);
    REQUIRE(buffer.bytes() >= bytes);
    populate(buffer, 0, buffer.bytes());
    CHECK(std::all_of(buffer.data(), buffer.data() + bytes, [](std::byte x) { return x == std::byte{0}; }));
  }
  CHECK(host_buffer(0).data() == nullptr);
}

TEST_CASE("more memory than there is gives one error with both amounts") {
  CHECK_THROWS_MATCHES(host_buffer(std::size_t{1} << 60), memory_error,
                       Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring("MiB left")));
  CHECK_THROWS_AS(host_buffer(~std::size_t{0}), memory_error);
}
