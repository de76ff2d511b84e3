// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/model_checksums.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const std::string sum_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A folder with a file "weights" that holds "abc".
struct folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "troupe-checksums-test";
  folder() {
    remove_all(path);
    create_directory(path);
    write("weights", "abc");
  }
  ~folder() { remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream{path / name} << text; }
};

}  // namespace

TEST_CASE("files with the sums of SHA256SUMS are accepted, and so is a folder without it") {
  folder model;
  CHECK_NOTHROW(verify_checksums(model.path));
  model.write("SHA256SUMS", sum_of_abc + "  weights\n" + sum_of_abc + " *weights\n");
  CHECK_NOTHROW(verify_checksums(model.path));
}

TEST_CASE("a file with another sum is named with both and the remedy") {
  folder model;
  model.write("SHA256SUMS", sum_of_abc + "  weights\n");
  model.write("weights", "abd");
  CHECK_THROWS_MATCHES(verify_checksums(model.path), checksum_error,
                       MessageMatches(ContainsSubstring("weights has SHA-256 a52d159f") &&
                                      ContainsSubstring(sum_of_abc) && ContainsSubstring("download")));
}

TEST_CASE("a listed file that is missing, and a line that is no checksum, are named") {
  folder model;
  model.write("SHA256SUMS", sum_of_abc + "  gone\n");
  CHECK_THROWS_MATCHES(verify_checksums(model.path), checksum_error, MessageMatches(ContainsSubstring("gone")));
  for (const auto& line : {std::string{"nonsense"}, sum_of_abc + "  ../weights", sum_of_abc + "  "}) {
    model.write("SHA256SUMS", line + "\n");
    CHECK_THROWS_MATCHES(verify_checksums(model.path), checksum_error,
                         MessageMatches(ContainsSubstring("SHA256SUMS:1")));
  }
}
