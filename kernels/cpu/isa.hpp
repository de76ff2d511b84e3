// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Instruction sets that the CPU kernels are built for, slowest first. Within one of them a result is the same bits
/// whatever the batch or the number of threads. AVX2 and AVX-512 give the same bits; portable and AMX others.
enum class isa : std::uint8_t { portable, avx2, avx512, amx };

const char* to_string(isa x);

/// Those that this build has and this machine can run, slowest first; never empty.
std::vector<isa> available_isas();

/// `name` is "auto" (the fastest available), "portable", "avx2", "avx512" or "amx". Throws std::invalid_argument saying
/// which ones are available.
isa choose_isa(std::string_view name);

}  // namespace troupe
