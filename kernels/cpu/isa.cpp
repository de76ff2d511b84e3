// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/isa.hpp"

#include <stdexcept>

#include "kernels/cpu/kernel_table.hpp"

namespace troupe {

const char* to_string(isa x) {
  switch (x) {
    case isa::portable:
      return "portable";
    case isa::avx2:
      return "avx2";
    case isa::avx512:
      return "avx512";
    case isa::amx:
      return "amx";
  }
  return "unknown";
}

std::vector<isa> available_isas() {
  std::vector<isa> result;
  for (auto candidate : {isa::portable, isa::avx2, isa::avx512, isa::amx})
    if (find_cpu_kernels(candidate) != nullptr) result.push_back(candidate);
  return result;
}

isa choose_isa(std::string_view name) {
  const auto available = available_isas();
  if (name == "auto") return available.back();
  std::string names = "auto";
  for (auto candidate : available) {
    if (name == to_string(candidate)) return candidate;
    names += std::string(", ") + to_string(candidate);
  }
  throw std::invalid_argument("the instruction set '" + std::string(name) + "' is not available here; choose one of " +
                              names);
}

}  // namespace troupe
