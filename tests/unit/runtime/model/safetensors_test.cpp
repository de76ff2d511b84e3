// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/safetensors.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/model/errors.hpp"
#include "tests/unit/runtime/model/small_model.hpp"
#include "tests/unit/runtime/model/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

/// Two tensors, [2, 3] and [4], well formed.
std::vector<header_entry> two_tensors() { return {{"a", "BF16", "[2,3]", 0, 12}, {"b", "BF16", "[4]", 12, 20}}; }

void check_refused(const std::string& bytes, const std::string& reason) {
  const temporary_folder folder;
  folder.write("x.safetensors", bytes);
  INFO("expected: " << reason);
  CHECK_THROWS_MATCHES(safetensors_file(folder.path() / "x.safetensors"), weights_error,
                       MessageMatches(ContainsSubstring("x.safetensors") && ContainsSubstring(reason)));
}

void check_refused(const std::vector<header_entry>& entries, std::uint64_t data_bytes, const std::string& reason) {
  check_refused(file_bytes(header_text(entries), data_bytes), reason);
}

std::string with_header_size(std::string bytes, std::uint64_t size) {
  std::memcpy(bytes.data(), &size, 8);
  return bytes;
}

}  // namespace

TEST_CASE("a well-formed file gives its tensors") {
  const temporary_folder folder;
  folder.write("x.safetensors", file_bytes(two_tensors()));
  const safetensors_file file(folder.path() / "x.safetensors");
  REQUIRE(file.tensors().size() == 2);
  const auto& b = file.tensors().at("b");
  CHECK(b.type == "BF16");
  CHECK(b.shape == std::vector<std::uint64_t>{4});
  REQUIRE(b.bytes.size() == 8);
  CHECK(b.bytes[0] == std::byte{6});  // the seventh value of the file
}

TEST_CASE("tensors may follow each other in any order, and be empty") {
  const temporary_folder folder;
  folder.write(
      "x.safetensors",
      file_bytes(header_text({{"b", "F32", "[1]", 4, 8}, {"a", "U8", "[4]", 0, 4}, {"none", "BF16", "[0,3]", 4, 4}}),
                 8));
  CHECK(safetensors_file(folder.path() / "x.safetensors").tensors().size() == 3);
}

TEST_CASE("a file that is missing, empty or a folder is named") {
  const temporary_folder folder;
  CHECK_THROWS_MATCHES(safetensors_file(folder.path() / "y.safetensors"), weights_error,
                       MessageMatches(ContainsSubstring("y.safetensors") && ContainsSubstring("cannot be opened")));
  CHECK_THROWS_AS(safetensors_file(folder.path()), weights_error);
  check_refused("", "empty");
}

TEST_CASE("a header that does not fit is refused before it is read") {
  check_refused("1234567", "too short");
  const auto good = file_bytes(two_tensors());
  check_refused(with_header_size(good, ~std::uint64_t{0}), "at most 16777216");
  check_refused(with_header_size(good, (16U << 20) + 1), "at most 16777216");
  check_refused(with_header_size(good, good.size()), "truncated");
  check_refused(with_header_size(good, 3), "not valid JSON");
  check_refused(with_header_size(good, 0), "not valid JSON");
}

TEST_CASE("a header that is not one clean JSON object is refused") {
  check_refused(file_bytes("[]", 0), "not a JSON object");
  check_refused(file_bytes("{\"a\": ", 0), "not valid JSON");
  check_refused(file_bytes("{" + std::string(4000, '['), 0), "not valid JSON");
  check_refused(
      file_bytes(
          R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})",
          2),
      "\"a\" appears twice");
  check_refused(file_bytes(R"({"a":{"dtype":"BF16","dtype":"F32","shape":[1],"data_offsets":[0,2]}})", 2),
                "\"dtype\" appears twice");
}

TEST_CASE("a tensor entry without its three fields is refused") {
  for (const auto* entry :
       {"3", "{}", R"({"dtype":"BF16","shape":[1]})", R"({"dtype":1,"shape":[1],"data_offsets":[0,2]})",
        R"({"dtype":"BF16","shape":1,"data_offsets":[0,2]})", R"({"dtype":"BF16","shape":[1],"data_offsets":2})"})
    check_refused(file_bytes("{\"a\":" + std::string(entry) + "}", 2), "must have dtype, shape and data_offsets");
  check_refused({{"", "BF16", "[1]", 0, 2}}, 2, "its name");
  check_refused({{std::string(600, 'n'), "BF16", "[1]", 0, 2}}, 2, "its name");
}

TEST_CASE("a type that is not known is refused") { check_refused({{"a", "F4", "[1]", 0, 2}}, 2, "dtype F4"); }

TEST_CASE("a shape that is negative, fractional, too long or overflows is refused") {
  check_refused({{"a", "BF16", "[-1]", 0, 2}}, 2, "whole numbers");
  check_refused({{"a", "BF16", "[1.0]", 0, 2}}, 2, "whole numbers");
  check_refused({{"a", "BF16", "[1,1,1,1,1,1,1,1,1]", 0, 2}}, 2, "at most 8");
  check_refused({{"a", "BF16", "[4294967296,4294967296]", 0, 0}}, 0, "does not take");
  check_refused({{"a", "BF16", "[9223372036854775809]", 0, 2}}, 2, "does not take");
}

TEST_CASE("bytes that do not fit the shape, the order or the file are refused") {
  auto entries = two_tensors();
  entries[0].shape = "[2,4]";
  check_refused(entries, 20, "does not take the 12 bytes");
  check_refused({{"a", "BF16", "[1]", 2, 0}}, 2, "[begin, end]");
  check_refused(file_bytes(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0]}})", 2), "[begin, end]");
  check_refused(file_bytes(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[-2,0]}})", 2), "whole numbers");
  check_refused(two_tensors(), 19, "truncated");
  check_refused({{"a", "BF16", "[1]", 18446744073709551614U, 18446744073709551615U}}, 2, "truncated");
}

TEST_CASE("overlaps, gaps and bytes that belong to nobody are refused") {
  check_refused({{"a", "BF16", "[3]", 0, 6}, {"b", "BF16", "[3]", 4, 10}}, 10, "overlap");
  check_refused({{"a", "BF16", "[3]", 0, 6}, {"b", "BF16", "[3]", 0, 6}}, 6, "overlap");
  check_refused({{"a", "BF16", "[3]", 2, 8}}, 8, "2 bytes before it");
  check_refused(two_tensors(), 25, "5 bytes at its end");
}
