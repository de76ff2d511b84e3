// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/model_config.hpp"

namespace troupe {

/// The shape of a published model by its short name (qwen3-0.6b, llama3-8b, ...), for weights made at random.
std::optional<model_config> find_model_preset(std::string_view name);

std::vector<std::string> model_preset_names();

}  // namespace troupe
