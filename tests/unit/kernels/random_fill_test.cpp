// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

TEST_CASE("random values depend on their index alone, not on the piece or the instruction set") {
  FOR_EACH_ISA(device, 1);
  const auto first = GENERATE(as<std::uint64_t>(), 0, 12345, (std::uint64_t{1} << 33) - 700);
  std::vector<bf16> whole(3000);
  find_cpu_kernels(isa::portable)->random_fill(7, first, 0, 0.5F, whole.data(), whole.size());
  for (std::size_t begin = 0, size = 1; begin < whole.size(); begin += size++) {
    size = std::min(size, whole.size() - begin);
    std::vector<bf16> piece(size);
    device.kernels().random_fill(7, first + begin, 0, 0.5F, piece.data(), size);
    REQUIRE(std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin)));
  }
}

TEST_CASE("random values are never zero, centred and as wide as asked") {
  std::vector<bf16> values(1U << 20);
  find_cpu_kernels(isa::portable)->random_fill(99, 0, 0, 0.5F, values.data(), values.size());
  double sum = 0, squares = 0;
  std::size_t zeros = 0;
  for (auto value : values) {
    const double x = to_float(value);
    sum += x, squares += x * x, zeros += x == 0 ? 1 : 0;
  }
  const auto count = static_cast<double>(values.size());
  CHECK(zeros == 0);
  CHECK(std::abs(sum / count) < 2e-3);
  CHECK(std::abs(squares / count - 0.25 / 3) < 1e-3);
}
