// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::jinja {

/// What a template may cost: both the file and the conversation come from elsewhere.
inline constexpr std::size_t template_bytes_max = 1U << 20U;
inline constexpr std::size_t nesting_max = 100;              ///< of expressions and statements in a template
inline constexpr std::size_t calls_max = 32;                 ///< macros in one another
inline constexpr std::size_t evaluation_depth_max = 1000;    ///< of expressions and statements, macros included
inline constexpr std::size_t output_bytes_max = 32U << 20U;  ///< of a rendering and of any string on the way
inline constexpr std::uint64_t steps_max = 4'000'000;        ///< of evaluation; an element or 64 bytes made are a step

}  // namespace troupe::jinja
