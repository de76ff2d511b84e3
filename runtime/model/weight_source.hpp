// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/dtype.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

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
};

}  // namespace troupe
