// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <vector>

#include "kernels/cpu/cpu_device.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

inline std::vector<float> random_floats(std::size_t count, unsigned seed, float deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (auto& value : values)
    value = normal(generator);
  return values;
}

inline std::vector<bf16> random_bf16s(std::size_t count, unsigned seed, float deviation = 1) {
  std::vector<bf16> values;
  for (auto value : random_floats(count, seed, deviation))
    values.push_back(to_bf16(value));
  return values;
}

/// |got - expected| as a share of the greatest |expected|, at most.
inline double greatest_error(const std::vector<float>& got, const std::vector<double>& expected) {
  double difference = got.size() == expected.size() ? 0 : 1e9;
  double greatest = 1e-30;
  for (std::size_t i = 0; i < got.size() && i < expected.size(); ++i) {
    const auto error = std::abs(got[i] - expected[i]);
    difference = error <= difference ? difference : error;  // keeps a NaN
    greatest = std::max(greatest, std::abs(expected[i]));
  }
  return difference / greatest;
}

}  // namespace troupe

/// Runs the rest of the test once for each instruction set; those that this machine lacks are reported as skipped.
#define FOR_EACH_ISA(device_name, thread_count)                                                                      \
  const auto chosen_isa = GENERATE(troupe::isa::portable, troupe::isa::avx2, troupe::isa::avx512, troupe::isa::amx); \
  if (troupe::find_cpu_kernels(chosen_isa) == nullptr)                                                               \
    SKIP(std::string("this machine has no ") + troupe::to_string(chosen_isa));                                       \
  INFO("with " << troupe::to_string(chosen_isa));                                                                    \
  const troupe::cpu_device device_name(thread_count, chosen_isa)
