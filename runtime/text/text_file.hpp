// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace troupe {

/// The whole of a file. Throws std::runtime_error, naming the file, when it cannot be read or is larger than
/// `bytes_max`.
std::string read_text_file(const std::filesystem::path& path, std::uintmax_t bytes_max);

/// How deep arrays and objects of a JSON text lie in one another, found without building anything: what a parser would
/// build of a hostile file can be far larger than the file.
std::size_t json_depth(std::string_view json_text);

}  // namespace troupe
