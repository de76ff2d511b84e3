// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/kernel_table.hpp"
#include "runtime/model/weight_source.hpp"

namespace troupe {

/// Weights for any shape: each value is a hash of its tensor's name and its index, so that a shard has the values of
/// the whole, on any device. Scaled so that activations and logits have the size of a trained model's; never zero.
class random_weights final : public weight_source {
 public:
  explicit random_weights(const model_config& config);

  const bf16* find(const tensor_spec&, const tensor_slice&) const override { return nullptr; }
  void read(const tensor_spec& spec, const tensor_slice& slice, bf16* to) const override;
  std::optional<value_recipe> recipe(const tensor_spec& spec) const override;

 private:
  std::size_t layers_;
  const cpu_kernels* kernels_;
};

}  // namespace troupe
