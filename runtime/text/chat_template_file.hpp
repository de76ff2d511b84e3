// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/text/chat_template.hpp"

namespace troupe {

/// A chat template as a model's folder has it.
struct chat_template_file {
  std::filesystem::path path;  ///< where the source was found
  std::string source;
  template_names special_tokens;  ///< from tokenizer_config.json
};

/// Nothing when the folder has no chat template. Throws chat_template_error for a file that cannot be read or used.
std::optional<chat_template_file> find_chat_template(const std::filesystem::path& folder, std::string_view name);

}  // namespace troupe
