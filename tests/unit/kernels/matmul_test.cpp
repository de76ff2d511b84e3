// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.hpp"

#include <algorithm>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

struct problem {
  std::size_t rows, columns, outputs;
  std::vector<float> x;
  std::vector<bf16> weight, bias;

  problem(std::size_t m, std::size_t k, std::size_t n)
      : rows(m),
        columns(k),
        outputs(n),
        x(random_floats(m * k, 1)),
        weight(random_bf16s(n * k, 2)),
        bias(random_bf16s(n, 3)) {}

  std::vector<float> run(const cpu_device& device, std::size_t first_row, std::size_t row_count) const {
    std::vector<float> out(row_count * outputs);
    const matmul_part part{const_tensor(weight.data(), outputs, columns), const_tensor(bias.data(), 1, outputs),
                           tensor(out.data(), row_count, outputs)};
    matmul(execution(device), const_tensor(x.data() + first_row * columns, row_count, columns), {&part, 1});
    return out;
  }

  std::vector<double> naive() const {
    std::vector<double> out;
    for (std::size_t m = 0; m < rows; ++m) {
      for (std::size_t n = 0; n < outputs; ++n) {
        double sum = to_float(bias[n]);
        for (std::size_t k = 0; k < columns; ++k)
          sum += double{x[m * columns + k]} * to_float(weight[n * columns + k]);
        out.push_back(sum);
      }
    }
    return out;
  }
};

}  // namespace

TEST_CASE("a product is the naive one in double, for every number of rows and ragged sizes") {
  FOR_EACH_ISA(device, 2);
  const auto rows = GENERATE(as<std::size_t>(), 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 24, 25, 31, 50);
  const auto columns = GENERATE(as<std::size_t>(), 16, 100, 1024, 1040, 2500);
  const auto outputs = GENERATE(as<std::size_t>(), 1, 7, 67, 130);
  INFO("rows " << rows << " columns " << columns << " outputs " << outputs);
  const problem p(rows, columns, outputs);
  // AMX keeps 16 bits of x.
  CHECK(greatest_error(p.run(device, 0, rows), p.naive()) < (chosen_isa == isa::amx ? 2e-5 : 1e-6));
}

TEST_CASE("a row's product is the same bits alone, in any batch and with any number of threads") {
  FOR_EACH_ISA(device, 1);
  const cpu_device three_threads(3, chosen_isa);
  const std::size_t most = 70;
  const problem p(most, 2500, 131);
  const auto whole = p.run(device, 0, most);
  std::size_t different = 0;
  for (std::size_t count : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25, 40}) {
    for (const auto* used : {&device, &three_threads}) {
      for (std::size_t first = 0; first + count <= most; first += count) {
        const auto some = p.run(*used, first, count);
        if (!std::equal(some.begin(), some.end(), whole.begin() + static_cast<std::ptrdiff_t>(first * p.outputs)))
          ++different;
      }
    }
  }
  CHECK(different == 0);
}

TEST_CASE("several products of one x are those of each alone") {
  FOR_EACH_ISA(device, 2);
  const problem a(9, 300, 40), b(9, 300, 17);
  std::vector<float> out_a(9 * 40), out_b(9 * 17);
  const matmul_part parts[] = {
      {const_tensor(a.weight.data(), 40, 300), {}, tensor(out_a.data(), 9, 40)},
      {const_tensor(b.weight.data(), 17, 300), const_tensor(b.bias.data(), 1, 17), tensor(out_b.data(), 9, 17)}};
  matmul(execution(device), const_tensor(a.x.data(), 9, 300), parts);
  std::vector<float> alone(9 * 40);
  const matmul_part part{const_tensor(a.weight.data(), 40, 300), {}, tensor(alone.data(), 9, 40)};
  matmul(execution(device), const_tensor(a.x.data(), 9, 300), {&part, 1});
  CHECK(out_a == alone);
  CHECK(out_b == b.run(device, 0, 9));
}

TEST_CASE("AVX2 and AVX-512 give the same bits") {
  if (find_cpu_kernels(isa::avx512) == nullptr || find_cpu_kernels(isa::avx2) == nullptr)
    SKIP("this machine has not both");
  const cpu_device narrow(1, isa::avx2), wide(1, isa::avx512);
  const problem p(14, 1500, 40);
  CHECK(p.run(narrow, 0, 14) == p.run(wide, 0, 14));
}
