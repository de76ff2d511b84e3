// SPDX-License-Identifier: Apache-2.0
// Stands in for the x86 files on other processors.
#include "kernels/cpu/cpu_features.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace troupe {

cpu_features detect_cpu_features() { return {}; }
const cpu_kernels* avx2_kernels() { return nullptr; }
const cpu_kernels* avx512_kernels() { return nullptr; }
const cpu_kernels* amx_kernels() { return nullptr; }

}  // namespace troupe
