// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/dtype.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

/// How the values of a tensor that is made, not read, follow from their index (kernels/cpu/random_fill.hpp).
struct value_recipe {
  std::uint32_t seed = 0;
  float centre = 0;
  float spread = 0;
};

/// Where the values of a model's tensors come from. Immutable; any thread may read.
class weight_source {
 public:
  weight_source() = default;
  weight_source(const weight_source&) = delete;
  weight_source& operator=(const weight_source&) = delete;
  virtual ~weight_source() = default;

  /// The slice where it already lies in memory in rows of its own width, or null. Lives as long as the source.
  virtual const bf16* find(const tensor_spec& spec, const tensor_slice& slice) const = 0;

  /// Writes the slice, row after row.
  virtual void read(const tensor_spec& spec, const tensor_slice& slice, bf16* to) const = 0;

  /// How to make the values where they are wanted, on whatever device, instead of reading them.
  virtual std::optional<value_recipe> recipe(const tensor_spec&) const { return std::nullopt; }
};

}  // namespace troupe
