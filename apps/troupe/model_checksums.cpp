// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/model_checksums.hpp"

#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace troupe {
namespace {

constexpr std::size_t digits = 64;
constexpr std::size_t lines_max = 10'000;

std::string sha256_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw checksum_error(fmt::format("{} is listed in SHA256SUMS and cannot be read", path.string()));
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i)
    text += fmt::format("{:02x}", digest[i]);
  return text;
}

/// "<64 hex digits>  <name>" or, for sha256sum's binary mode, "<64 hex digits> *<name>".
bool is_checksum_line(std::string_view line) {
  if (line.size() < digits + 3 || line[digits] != ' ' || (line[digits + 1] != ' ' && line[digits + 1] != '*'))
    return false;
  auto name = line.substr(digits + 2);
  return line.substr(0, digits).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         name.find('/') == std::string_view::npos && name != "..";
}

}  // namespace

void verify_checksums(const std::filesystem::path& folder) {
  const auto list = folder / "SHA256SUMS";
  if (folder.empty() || !exists(list)) return;
  std::ifstream file{list};
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (number > lines_max || !is_checksum_line(line))
      throw checksum_error(fmt::format("{}:{}: this is no checksum; make the file with: sha256sum *.safetensors *.json",
                                       list.string(), number));
    const auto path = folder / line.substr(digits + 2);
    const auto expected = line.substr(0, digits);
    if (const auto found = sha256_of(path); found != expected)
      throw checksum_error(fmt::format("{} has SHA-256 {} and SHA256SUMS says {}; copy or download the file again",
                                       path.string(), found, expected));
  }
}

}  // namespace troupe
