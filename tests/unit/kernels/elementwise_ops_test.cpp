// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "kernels/add.hpp"
#include "kernels/embedding.hpp"
#include "kernels/qk_norm.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rope.hpp"
#include "kernels/sampling.hpp"
#include "kernels/silu_mul.hpp"
#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

constexpr float epsilon = 1e-6F;

std::vector<double> naive_rms_norm(const float* x, const std::vector<bf16>& weight, std::size_t size) {
  double squares = 0;
  for (std::size_t i = 0; i < size; ++i)
    squares += double{x[i]} * x[i];
  const auto scale = 1 / std::sqrt(squares / static_cast<double>(size) + epsilon);
  std::vector<double> out;
  for (std::size_t i = 0; i < size; ++i)
    out.push_back(x[i] * scale * to_float(weight[i]));
  return out;
}

std::vector<double> naive_rms_norm_rows(const std::vector<float>& x, const std::vector<bf16>& weight) {
  std::vector<double> all;
  for (std::size_t row = 0; row < x.size(); row += weight.size()) {
    const auto one = naive_rms_norm(x.data() + row, weight, weight.size());
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

}  // namespace

TEST_CASE("rms_norm is the naive one in double") {
  FOR_EACH_ISA(device, 2);
  const auto size = GENERATE(as<std::size_t>(), 16, 64, 100, 1024, 1031);
  const std::size_t rows = 40;
  const auto x = random_floats(rows * size, 1);
  const auto weight = random_bf16s(size, 2);
  std::vector<float> out(x.size());
  rms_norm(execution(device), const_tensor(x.data(), rows, size), const_tensor(weight.data(), 1, size), epsilon,
           tensor(out.data(), rows, size));
  CHECK(greatest_error(out, naive_rms_norm_rows(x, weight)) < 1e-6);
}

TEST_CASE("add_rms_norm keeps the sum and norms it") {
  FOR_EACH_ISA(device, 2);
  const std::size_t rows = 5, size = 200;
  auto residual = random_floats(rows * size, 1);
  const auto delta = random_floats(rows * size, 2);
  const auto weight = random_bf16s(size, 3);
  auto sum = residual;
  for (std::size_t i = 0; i < sum.size(); ++i)
    sum[i] += delta[i];
  std::vector<float> out(sum.size());
  add_rms_norm(execution(device), tensor(residual.data(), rows, size), const_tensor(delta.data(), rows, size),
               const_tensor(weight.data(), 1, size), epsilon, tensor(out.data(), rows, size));
  CHECK(residual == sum);
  CHECK(greatest_error(out, naive_rms_norm_rows(sum, weight)) < 1e-6);
}

TEST_CASE("qk_norm norms each head by itself") {
  FOR_EACH_ISA(device, 2);
  const std::size_t rows = 3, heads = 5, head_size = 80;
  auto x = random_floats(rows * heads * head_size, 1);
  const auto weight = random_bf16s(head_size, 2);
  const auto expected = naive_rms_norm_rows(x, weight);
  qk_norm(execution(device), tensor(x.data(), rows, heads * head_size), const_tensor(weight.data(), 1, head_size),
          epsilon);
  CHECK(greatest_error(x, expected) < 1e-6);
}

TEST_CASE("add adds") {
  FOR_EACH_ISA(device, 2);
  auto x = random_floats(77, 1);
  const auto delta = random_floats(77, 2);
  auto expected = x;
  for (std::size_t i = 0; i < x.size(); ++i)
    expected[i] += delta[i];
  add(execution(device), tensor(x.data(), 7, 11), const_tensor(delta.data(), 7, 11));
  CHECK(x == expected);
}

TEST_CASE("rope turns each pair by its angle") {
  FOR_EACH_ISA(device, 2);
  const auto head_size = GENERATE(as<std::size_t>(), 16, 64, 80, 128);
  const std::size_t rows = 3, heads = 2, half = head_size / 2;
  auto x = random_floats(rows * heads * head_size, 1);
  const auto angles = random_floats(rows * half, 2, 10);
  std::vector<float> cosines, sines;
  for (auto angle : angles)
    cosines.push_back(std::cos(angle)), sines.push_back(std::sin(angle));
  std::vector<double> expected(x.begin(), x.end());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t i = 0; i < half; ++i) {
        auto& a = expected[(row * heads + head) * head_size + i];
        auto& b = expected[(row * heads + head) * head_size + half + i];
        const double c = cosines[row * half + i], s = sines[row * half + i], old = a;
        a = a * c - b * s;
        b = b * c + old * s;
      }
    }
  }
  rope(execution(device), tensor(x.data(), rows, heads * head_size), const_tensor(cosines.data(), rows, half),
       const_tensor(sines.data(), rows, half), head_size);
  CHECK(greatest_error(x, expected) < 1e-6);
}

TEST_CASE("silu_mul is the naive one in double, at extreme gates too") {
  FOR_EACH_ISA(device, 2);
  auto gate = random_floats(300, 1, 5);
  gate[0] = 1000, gate[1] = -1000, gate[2] = 0, gate[3] = -88, gate[4] = 90;
  const auto up = random_floats(300, 2);
  std::vector<double> expected;
  for (std::size_t i = 0; i < gate.size(); ++i)
    expected.push_back(gate[i] / (1 + std::exp(-double{gate[i]})) * up[i]);
  silu_mul(execution(device), const_tensor(gate.data(), 3, 100), const_tensor(up.data(), 3, 100),
           tensor(gate.data(), 3, 100));
  for (std::size_t i = 0; i < gate.size(); ++i)
    REQUIRE(std::abs(gate[i] - expected[i]) <= 2e-6 * std::abs(expected[i]) + 1e-30);
}

TEST_CASE("embedding gives the token's row, and zeros for a token of another rank") {
  FOR_EACH_ISA(device, 2);
  const std::size_t size = 40;
  const auto table = random_bf16s(10 * size, 1);
  const std::int32_t tokens[] = {100, 109, 99, 110, 104};
  std::vector<float> out(5 * size, -1);
  embedding(execution(device), const_tensor(table.data(), 10, size), 100, tokens, tensor(out.data(), 5, size));
  for (std::size_t i = 0; i < 5; ++i) {
    const bool here = tokens[i] >= 100 && tokens[i] < 110;
    for (std::size_t j = 0; j < size; ++j)
      REQUIRE(out[i * size + j] ==
              (here ? to_float(table[static_cast<std::size_t>(tokens[i] - 100) * size + j]) : 0.0F));
  }
}

TEST_CASE("arg_max gives the lowest index of the greatest value and passes over NaNs") {
  FOR_EACH_ISA(device, 1);
  const execution on(device);
  for (std::size_t size : {1, 15, 16, 17, 1000}) {
    auto x = random_floats(size, static_cast<unsigned>(size));
    const auto at = [&] { return arg_max(on, const_tensor(x.data(), 1, size)); };
    CHECK(at() == static_cast<std::size_t>(std::max_element(x.begin(), x.end()) - x.begin()));
    x[size / 2] = 100, x[size - 1] = 100;
    CHECK(at() == size / 2);
    if (size > 1) {
      x[0] = std::numeric_limits<float>::quiet_NaN();
      CHECK(at() == size / 2);
    }
  }
}

TEST_CASE("exponentials are right to 3e-7, 1 at 0 and 0 far below") {
  FOR_EACH_ISA(device, 1);
  std::vector<float> x;
  for (float value = -86.9F; value < 87; value += 0.0137F)
    x.push_back(value);
  auto out = x;
  exponentials(execution(device), const_tensor(x.data(), 1, x.size()), 0, 1, tensor(out.data(), 1, x.size()));
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(out[i] / std::exp(double{x[i]}) - 1));
  CHECK(worst < 3e-7);
  const float special[] = {2, -1e30F, -std::numeric_limits<float>::infinity()};
  float result[3];
  exponentials(execution(device), const_tensor(special, 1, 3), 2, 1, tensor(result, 1, 3));
  CHECK(result[0] == 1.0F);
  CHECK(result[1] == 0.0F);
  CHECK(result[2] == 0.0F);
}
