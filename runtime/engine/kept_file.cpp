// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/kept_file.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <functional>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::uintmax_t bytes_max = std::uintmax_t{4} << 20;

}  // namespace

kept_file::kept_file(const std::filesystem::path& folder, std::string name) {
  if (folder.empty()) return;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-'; }, '_');
  path_ = folder / name;
}

std::vector<std::byte> kept_file::read() const {
  if (path_.empty()) return {};
  std::error_code error;
  const auto size = std::filesystem::file_size(path_, error);
  if (error || size > bytes_max) return {};
  std::vector<std::byte> bytes(size);
  std::ifstream file(path_, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) return {};
  return bytes;
}

void kept_file::write(std::span<const std::byte> bytes) const {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);
  auto draft = path_;
  draft += fmt::format(".{}.{}", getpid(), std::hash<std::thread::id>{}(std::this_thread::get_id()));
  {
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
      std::filesystem::remove(draft, error);
      return;
    }
  }
  std::filesystem::rename(draft, path_, error);
  if (error) std::filesystem::remove(draft, error);
}

}  // namespace troupe
