// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/api_keys.hpp"

#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace troupe {

api_keys::digest api_keys::hash(std::string_view key) {
  digest out{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), out.data());
  return out;
}

void api_keys::add(std::string_view key, const key_limits& limits) {
  digests_.push_back(hash(key));
  limits_.push_back(limits);
}

std::optional<std::size_t> api_keys::find(std::string_view key) const {
  const auto wanted = hash(key);
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < digests_.size(); ++i)
    if (CRYPTO_memcmp(digests_[i].data(), wanted.data(), wanted.size()) == 0) found = i;
  return found;
}

namespace {

/// Takes a limit, `NAME=NUMBER`. False when it is none, or was given before.
bool read_limit(std::string_view word, key_limits& limits) {
  constexpr std::uint32_t limit_max = 1'000'000'000;
  const std::pair<std::string_view, std::uint32_t key_limits::*> names[] = {
      {"requests_per_minute=", &key_limits::requests_per_minute},
      {"tokens_per_minute=", &key_limits::tokens_per_minute},
      {"concurrent=", &key_limits::concurrent}};
  for (const auto& [name, member] : names) {
    if (!word.starts_with(name)) continue;
    const auto digits = word.substr(name.size());
    auto& value = limits.*member;
    if (value != 0) return false;
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return bad == std::errc{} && end == digits.data() + digits.size() && value >= 1 && value <= limit_max;
  }
  return false;
}

}  // namespace

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
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key.size() < 16 || key.size() > 512 || !line.starts_with(key))
      throw std::runtime_error(
          fmt::format("{}:{}: is no API key; give 16 to 512 characters without spaces", path.string(), number));
    key_limits limits;
    while (words >> word)
      if (!read_limit(word, limits))
        throw std::runtime_error(
            fmt::format("{}:{}: a word behind the key is no limit; give requests_per_minute=N, tokens_per_minute=N or "
                        "concurrent=N, each once, from 1 to 1000000000",
                        path.string(), number));
    if (out.contains(key))
      throw std::runtime_error(fmt::format("{}:{}: this key is there twice; give it once", path.string(), number));
    out.add(key, limits);
  }
  if (out.empty()) throw std::runtime_error(fmt::format("{}: has no API key; give one a line", path.string()));
  return out;
}

}  // namespace troupe
