// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cuda/embedding.hpp"
#include "kernels/cuda/few_rows.hpp"
#include "kernels/cuda/gemm.hpp"
#include "kernels/cuda/gemv.hpp"
#include "kernels/cuda/random_fill.hpp"
#include "kernels/cuda/rms_norm.hpp"
#include "kernels/cuda/silu_mul.hpp"
#include "kernels/embedding.hpp"
#include "kernels/matmul.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/silu_mul.hpp"
#include "tests/gpu/device_array.hpp"
#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

/// A result rounded to bf16 once is this near, as a share of the greatest.
constexpr double bf16_tolerance = 5e-3;
constexpr double f32_tolerance = 2e-5;

std::vector<double> doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// x [rows, columns] times weight [n, columns], by the CPU.
std::vector<float> product(const cpu_device& cpu, const std::vector<bf16>& x, const std::vector<bf16>& weight,
                           std::size_t columns) {
  const auto wide = widened(x);
  const auto rows = x.size() / columns, n = weight.size() / columns;
  std::vector<float> out(rows * n);
  const matmul_part parts[] = {{const_tensor(weight.data(), n, columns), {}, tensor(out.data(), rows, n)}};
  matmul(execution(cpu), const_tensor(wide.data(), rows, columns), parts);
  return out;
}

}  // namespace

TEST_CASE("embedding on the device is the CPU's, and zeros for tokens of other ranks") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  const auto columns = GENERATE(as<std::size_t>(), 128, 1000);
  const auto table = random_bf16s(50 * columns, 1);
  const std::vector<std::int32_t> tokens = {100, 149, 120, 99, 150, 100};
  const std::vector<std::int32_t> chosen = {-1, 100, 120};  // the first of a row without a finite logit
  const std::vector<std::int32_t> asked = {100, 149, -3, 99, -1, -2};
  std::vector<float> expected(tokens.size() * columns);
  embedding(execution(cpu), const_tensor(table.data(), 50, columns), 100, tokens,
            tensor(expected.data(), tokens.size(), columns));
  const device_array<bf16> on_device(device, table);
  const device_array<std::int32_t> ids(device, asked), on_device_before(device, chosen);
  const device_array<float> out(device, expected.size());
  embedding_cuda(on_device.get(), 100, 50, columns, ids.get(), on_device_before.get(), asked.size(), out.get(),
                 device.stream());
  CHECK(out.read() == expected);
}

TEST_CASE("rms_norm on the device is the CPU's, with and without a sum before it, and of chosen rows") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  const auto columns = GENERATE(as<std::size_t>(), 128, 4096, 5128);
  const std::size_t rows = 7;
  const auto x = random_floats(rows * columns, 2), delta = random_floats(rows * columns, 3);
  const auto weight = random_bf16s(columns, 4);
  const device_array<bf16> weight_there(device, weight);
  std::vector<float> expected(x.size());
  SECTION("alone") {
    rms_norm(execution(cpu), const_tensor(x.data(), rows, columns), const_tensor(weight.data(), 1, columns), 1e-6F,
             tensor(expected.data(), rows, columns));
    const device_array<float> there(device, x);
    const device_array<bf16> out(device, x.size());
    rms_norm_cuda(there.get(), nullptr, weight_there.get(), 1e-6F, rows, columns, out.get(), device.stream());
    CHECK(greatest_error(widened(out.read()), doubles(expected)) < bf16_tolerance);
    const device_array<std::int32_t> index(device, {5, 0});
    const device_array<bf16> chosen(device, 2 * columns);
    rms_norm_cuda(there.get(), index.get(), weight_there.get(), 1e-6F, 2, columns, chosen.get(), device.stream());
    const auto all = widened(out.read()), two = widened(chosen.read());
    CHECK(std::equal(two.begin(), two.begin() + static_cast<std::ptrdiff_t>(columns),
                     all.begin() + static_cast<std::ptrdiff_t>(5 * columns)));
    CHECK(std::equal(two.begin() + static_cast<std::ptrdiff_t>(columns), two.end(), all.begin()));
  }
  SECTION("after a sum") {
    auto residual = x;
    add_rms_norm(execution(cpu), tensor(residual.data(), rows, columns), const_tensor(delta.data(), rows, columns),
                 const_tensor(weight.data(), 1, columns), 1e-6F, tensor(expected.data(), rows, columns));
    const device_array<float> there(device, x), delta_there(device, delta);
    const device_array<bf16> out(device, x.size());
    add_rms_norm_cuda(there.get(), delta_there.get(), weight_there.get(), 1e-6F, rows, columns, out.get(),
                      device.stream());
    CHECK(there.read() == residual);
    CHECK(greatest_error(widened(out.read()), doubles(expected)) < bf16_tolerance);
  }
}

TEST_CASE("silu_mul on the device is the CPU's") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  const std::size_t rows = 3, columns = GENERATE(as<std::size_t>(), 8, 256, 12288);
  const auto gate_up = random_bf16s(rows * 2 * columns, 5, 3);
  const auto wide = widened(gate_up);
  std::vector<float> expected(rows * columns);
  silu_mul(execution(cpu), const_tensor(wide.data(), rows, columns, 2 * columns),
           const_tensor(wide.data() + columns, rows, columns, 2 * columns), tensor(expected.data(), rows, columns));
  const device_array<bf16> there(device, gate_up), out(device, rows * columns);
  silu_mul_cuda(there.get(), rows, columns, out.get(), device.stream());
  CHECK(greatest_error(widened(out.read()), doubles(expected)) < bf16_tolerance);
}

TEST_CASE("random values made on the device are the CPU's, bit for bit, of a whole tensor and of a slice") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const auto& kernels = *find_cpu_kernels(isa::portable);
  const auto first = GENERATE(as<std::uint64_t>(), 0, 1, 8'589'934'000);
  const std::size_t rows = 5, columns = 1001;
  const std::uint64_t stride = 3000;
  std::vector<bf16> expected(rows * columns);
  for (std::size_t r = 0; r < rows; ++r)
    kernels.random_fill(0xabcd1234U, first + r * stride, 0.5F, 0.3F, expected.data() + r * columns, columns);
  const device_array<bf16> out(device, expected.size());
  random_fill_cuda(0xabcd1234U, first, stride, 0.5F, 0.3F, rows, columns, out.get(), device.stream());
  CHECK(out.read() == expected);
}

TEST_CASE("a product of one row is the CPU's for every length of row, whatever is fused into it") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(2, available_isas().back());
  const auto columns = GENERATE(as<std::size_t>(), 8, 128, 1024, 2048, 3072, 4096, 5120, 8192, 12288, 17408, 25600);
  const auto rows = GENERATE(as<std::size_t>(), 30, 2048);
  INFO(rows << " x " << columns);
  const auto deviation = 1 / std::sqrt(static_cast<float>(columns));
  const auto weight = random_bf16s(rows * columns, 6, deviation), x = random_bf16s(columns, 7);
  const auto expected = product(cpu, x, weight, columns);
  const device_array<bf16> weight_there(device, weight), x_there(device, x);
  gemv_call call{weight_there.get(), rows, columns};
  SECTION("plain, in float32") {
    const device_array<float> out(device, rows);
    call.x = x_there.get(), call.out_f32 = out.get();
    gemv_cuda(call, device.stream());
    CHECK(greatest_error(out.read(), doubles(expected)) < f32_tolerance);
  }
  SECTION("with a bias, in bf16") {
    const auto bias = random_bf16s(rows, 8);
    auto sum = doubles(expected);
    for (std::size_t i = 0; i < rows; ++i)
      sum[i] += to_float(bias[i]);
    const device_array<bf16> bias_there(device, bias), out(device, rows);
    call.x = x_there.get(), call.out = out.get(), call.bias = bias_there.get();
    gemv_cuda(call, device.stream());
    CHECK(greatest_error(widened(out.read()), sum) < bf16_tolerance);
  }
  SECTION("added to what is there") {
    const auto before = random_floats(rows, 9);
    auto sum = doubles(expected);
    for (std::size_t i = 0; i < rows; ++i)
      sum[i] += before[i];
    const device_array<float> out(device, before);
    call.x = x_there.get(), call.accumulated = out.get();
    gemv_cuda(call, device.stream());
    CHECK(greatest_error(out.read(), sum) < f32_tolerance);
  }
  SECTION("gated, of the norm of a residual") {
    const auto residual = random_floats(columns, 10, 3);
    const auto norm = random_bf16s(columns, 11);
    std::vector<float> normed(columns);
    rms_norm(execution(cpu), const_tensor(residual.data(), 1, columns), const_tensor(norm.data(), 1, columns), 1e-6F,
             tensor(normed.data(), 1, columns));
    const auto gate_up = product(cpu, narrowed(normed), weight, columns);
    std::vector<float> gated(rows / 2);
    silu_mul(execution(cpu), const_tensor(gate_up.data(), 1, rows / 2),
             const_tensor(gate_up.data() + rows / 2, 1, rows / 2), tensor(gated.data(), 1, rows / 2));
    const device_array<float> residual_there(device, residual);
    const device_array<bf16> norm_there(device, norm), out(device, rows / 2);
    call.residual = residual_there.get(), call.norm = norm_there.get(), call.epsilon = 1e-6F, call.gated = out.get();
    gemv_cuda(call, device.stream());
    CHECK(greatest_error(widened(out.read()), doubles(gated)) < 1e-2);
  }
}

TEST_CASE("a product of up to eight rows is the CPU's for every length of row, whatever is fused into it") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(2, available_isas().back());
  const auto columns = GENERATE(as<std::size_t>(), 8, 200, 1024, 2560, 4096, 12288, 25600);
  const auto [rows, m] = GENERATE(table<std::size_t, std::size_t>({{30, 2}, {30, 8}, {6144, 5}, {9000, 8}}));
  if (rows * columns > 40'000'000) return;  // the CPU would take long
  INFO(m << " x " << rows << " x " << columns);
  const auto deviation = 1 / std::sqrt(static_cast<float>(columns));
  const auto weight = random_bf16s(rows * columns, 16, deviation), x = random_bf16s(m * columns, 17);
  const auto expected = product(cpu, x, weight, columns);
  const device_array<bf16> weight_there(device, weight), x_there(device, x);
  few_rows_call call{weight_there.get(), rows, columns, x_there.get(), m};
  SECTION("plain, in float32") {
    const device_array<float> out(device, m * rows);
    call.out_f32 = out.get();
    few_rows_cuda(call, device.stream());
    CHECK(greatest_error(out.read(), doubles(expected)) < f32_tolerance);
  }
  SECTION("with a bias, in bf16") {
    const auto bias = random_bf16s(rows, 18);
    auto sum = doubles(expected);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += to_float(bias[i % rows]);
    const device_array<bf16> bias_there(device, bias), out(device, m * rows);
    call.out = out.get(), call.bias = bias_there.get();
    few_rows_cuda(call, device.stream());
    CHECK(greatest_error(widened(out.read()), sum) < bf16_tolerance);
  }
  SECTION("added to what is there") {
    const auto before = random_floats(m * rows, 19);
    auto sum = doubles(expected);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += before[i];
    const device_array<float> out(device, before);
    call.accumulated = out.get();
    few_rows_cuda(call, device.stream());
    CHECK(greatest_error(out.read(), sum) < f32_tolerance);
  }
  SECTION("gated") {
    std::vector<float> gated(m * rows / 2);
    silu_mul(execution(cpu), const_tensor(expected.data(), m, rows / 2, rows),
             const_tensor(expected.data() + rows / 2, m, rows / 2, rows), tensor(gated.data(), m, rows / 2));
    const device_array<bf16> out(device, gated.size());
    call.gated = out.get();
    few_rows_cuda(call, device.stream());
    CHECK(greatest_error(widened(out.read()), doubles(gated)) < 1e-2);
  }
}

TEST_CASE("a product of several rows is the CPU's, plain, with a bias and added to what is there") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(2, available_isas().back());
  gemm_library gemm;
  const auto m = GENERATE(as<std::size_t>(), 2, 13, 64, 130);
  const std::size_t n = 384, k = 512;
  const auto x = random_bf16s(m * k, 12), weight = random_bf16s(n * k, 13, 0.05F), bias = random_bf16s(n, 14);
  const auto expected = product(cpu, x, weight, k);
  const device_array<bf16> x_there(device, x), weight_there(device, weight), bias_there(device, bias);
  auto sum = doubles(expected);
  SECTION("in bf16 with a bias") {
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += to_float(bias[i % n]);
    const device_array<bf16> out(device, m * n);
    gemm.run({.x = x_there.get(),
              .weight = weight_there.get(),
              .bias = bias_there.get(),
              .out = out.get(),
              .out_type = dtype::bf16,
              .m = m,
              .n = n,
              .k = k},
             device.stream());
    CHECK(greatest_error(widened(out.read()), sum) < bf16_tolerance);
  }
  SECTION("added in float32, each time once") {
    const auto before = random_floats(m * n, 15);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] = 2 * sum[i] + before[i];
    const device_array<float> out(device, before);
    for (int i = 0; i < 2; ++i)
      gemm.run({.x = x_there.get(),
                .weight = weight_there.get(),
                .out = out.get(),
                .out_type = dtype::f32,
                .accumulate = true,
                .m = m,
                .n = n,
                .k = k},
               device.stream());
    CHECK(greatest_error(out.read(), sum) < f32_tolerance);
  }
}
