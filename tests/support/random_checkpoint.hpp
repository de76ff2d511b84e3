// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>

namespace troupe {

/// Writes model.safetensors beside the config.json of a folder, with the values that `random:FOLDER` has, so that a
/// model of any size can be loaded from files. Throws std::system_error, config_error.
void write_random_checkpoint(const std::filesystem::path& folder, std::size_t threads);

}  // namespace troupe
