// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// What the processor and the operating system (saved registers) allow.
struct cpu_features {
  bool avx2_fma = false;
  bool avx512 = false;    ///< F, BW, DQ and VL
  bool amx_bf16 = false;  ///< and the system lets this process use the tiles
};

cpu_features detect_cpu_features();

}  // namespace troupe
