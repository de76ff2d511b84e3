// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// A fuzz target: takes any bytes, and either accepts them or refuses them with the error its header names. Anything
/// else (another exception, a sanitizer's report, a failed check, too much time or memory) is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace troupe {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A promise that must hold whatever the input is; unlike assert it is there in every build.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace troupe
