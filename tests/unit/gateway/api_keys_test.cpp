// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/api_keys.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

class key_file {
 public:
  explicit key_file(const std::string& text) {
    char name[] = "/tmp/troupe-keys-XXXXXX";
    close(mkstemp(name));
    path_ = name;
    std::ofstream(path_) << text;
  }
  key_file(const key_file&) = delete;
  key_file& operator=(const key_file&) = delete;
  ~key_file() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a key opens only when it is one of those that were added") {
  api_keys keys;
  CHECK(keys.empty());
  CHECK_FALSE(keys.contains(""));
  keys.add("sk-0123456789abcdef");
  keys.add("sk-fedcba9876543210");
  CHECK(keys.contains("sk-0123456789abcdef"));
  CHECK(keys.contains("sk-fedcba9876543210"));
  CHECK_FALSE(keys.contains("sk-0123456789abcde"));
  CHECK_FALSE(keys.contains("sk-0123456789abcdef "));
  CHECK_FALSE(keys.contains(""));
}

TEST_CASE("a key file has a key a line, and comments") {
  key_file file("# for the team\n\nsk-0123456789abcdef\r\nsk-fedcba9876543210\n");
  auto keys = load_api_keys(file.path());
  CHECK(keys.contains("sk-0123456789abcdef"));
  CHECK(keys.contains("sk-fedcba9876543210"));
  CHECK_FALSE(keys.contains("# for the team"));
}

TEST_CASE("limits stand behind a key, in any order") {
  key_file file(
      "sk-0123456789abcdef concurrent=4 requests_per_minute=60\nsk-fedcba9876543210\ttokens_per_minute=1000 \n"
      "sk-aaaaaaaaaaaaaaaa\n");
  auto keys = load_api_keys(file.path());
  REQUIRE(keys.limits().size() == 3);
  CHECK(keys.limits()[keys.find("sk-0123456789abcdef").value()] ==
        key_limits{.requests_per_minute = 60, .concurrent = 4});
  CHECK(keys.limits()[keys.find("sk-fedcba9876543210").value()] == key_limits{.tokens_per_minute = 1000});
  CHECK(keys.limits()[keys.find("sk-aaaaaaaaaaaaaaaa").value()] == key_limits{});
  for (const auto* wrong : {"request_per_minute=60", "concurrent=0", "concurrent=-1", "concurrent=1 concurrent=2",
                            "tokens_per_minute=", "tokens_per_minute=4000000000", "concurrent=4x", "another-key"}) {
    key_file bad(std::string("# keys\nsk-0123456789abcdef ") + wrong + "\n");
    CHECK_THROWS_MATCHES(load_api_keys(bad.path()), std::runtime_error,
                         MessageMatches(ContainsSubstring(":2: a word behind the key is no limit")));
  }
  key_file twice("sk-0123456789abcdef\nsk-0123456789abcdef concurrent=4\n");
  CHECK_THROWS_MATCHES(load_api_keys(twice.path()), std::runtime_error,
                       MessageMatches(ContainsSubstring(":2: this key is there twice")));
}

TEST_CASE("a key file that cannot be trusted is refused with its reason") {
  key_file empty("# nothing\n");
  CHECK_THROWS_MATCHES(load_api_keys(empty.path()), std::runtime_error,
                       MessageMatches(ContainsSubstring("has no API key")));
  key_file brief("short\n");
  CHECK_THROWS_MATCHES(load_api_keys(brief.path()), std::runtime_error,
                       MessageMatches(ContainsSubstring(":1: is no API key; give 16 to 512 characters")));
  key_file open_to_all("sk-0123456789abcdef\n");
  chmod(open_to_all.path().c_str(), 0666);
  CHECK_THROWS_MATCHES(load_api_keys(open_to_all.path()), std::runtime_error,
                       MessageMatches(ContainsSubstring("can be written by everyone")));
  CHECK_THROWS_MATCHES(load_api_keys("/no/such/keys"), std::runtime_error,
                       MessageMatches(ContainsSubstring("is no file")));
}
