// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/model/model_config.hpp"
#include "runtime/model/weight_source.hpp"

namespace troupe {

/// A model's shape and where its weights come from.
struct model {
  model_config config;
  std::shared_ptr<const weight_source> weights;
};

/// `name` is a Hugging Face model folder, `random:PRESET` (random:qwen3-0.6b) or `random:PATH` with a folder that has a
/// config.json, or such a file. Throws config_error or weights_error.
model open_model(const std::string& name);

/// Its configuration alone: no weight file is touched. Throws config_error.
model_config open_model_config(const std::string& name);

/// Equal on ranks that hold the same model: of the configuration and each tensor's name, shape and a few of its values,
/// whatever files they lie in. Milliseconds; an accident detector, not a signature.
std::uint64_t model_hash(const model& x);

}  // namespace troupe
