// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/api_keys.hpp"

#include <fstream>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace troupe {

api_keys::digest api_keys::hash(std::string_view key) {
  digest out{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), out.data());
  return out;
}

void api_keys::add(std::string_view key) { digests_.push_back(hash(key)); }

bool api_keys::contains(std::string_view key) const {
  const auto wanted = hash(key);
  bool found = false;
  for (const auto& candidate : digests_)
    found |= CRYPTO_memcmp(candidate.data(), wanted.data(), wanted.size()) == 0;
  return found;
}

api_keys load_api_keys(const std::filesystem::path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (failure || !std::filesystem::is_regular_file(status))
    throw std::runtime_error(fmt::format("{}: is no file; give a file with one API key a line", path.string()));
  if ((status.permissions() & std::filesystem::perms::others_write) != std::filesystem::perms::none)
    throw std::runtime_error(fmt::format("{}: can be written by everyone; chmod o-w {}", path.string(), path.string()));
  if (std::filesystem::file_size(path) > (1 << 20))
    throw std::runtime_error(
        fmt::format("{}: is larger than 1 MiB; give a file with one API key a line", path.string()));
  std::ifstream file(path);
  api_keys out;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < 16 || line.size() > 512 || line.find_first_of(" \t") != std::string::npos)
      throw std::runtime_error(
          fmt::format("{}:{}: is no API key; give 16 to 512 characters without spaces", path.string(), number));
    out.add(line);
  }
  if (out.empty()) throw std::runtime_error(fmt::format("{}: has no API key; give one a line", path.string()));
  return out;
}

}  // namespace troupe
