// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/kept_file.hpp"

#include <algorithm>
#include <filesystem>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <unistd.h>

using namespace troupe;

namespace {

/// A folder that ends with the test.
struct scratch_folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("kept-file-test-" + std::to_string(getpid()));
  scratch_folder() { std::filesystem::remove_all(path); }
  ~scratch_folder() { std::filesystem::remove_all(path); }
};

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

}  // namespace

TEST_CASE("what was kept last is read back, and a name is no way out of the folder") {
  const scratch_folder folder;
  const kept_file file(folder.path, "../a b/c.bin");
  CHECK(file.read().empty());
  file.write(bytes_of("first"));
  file.write(bytes_of("second"));
  CHECK(file.read() == bytes_of("second"));
  CHECK(std::filesystem::exists(folder.path / ".._a_b_c.bin"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("what cannot be kept is not an error") {
  const kept_file nowhere("", "x.bin");
  nowhere.write(bytes_of("lost"));
  CHECK(nowhere.read().empty());
  const kept_file impossible("/proc/no-such-folder", "x.bin");
  impossible.write(bytes_of("lost"));
  CHECK(impossible.read().empty());
}
