// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/journal.hpp"

#include <fstream>
#include <iterator>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <unistd.h>

#include "apps/gateway/journal_record.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

struct journal_file {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("troupe-journal-" + std::to_string(getpid()) + ".bin");
  journal_file() { std::filesystem::remove(path); }
  ~journal_file() { std::filesystem::remove(path); }

  std::string bytes() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
};

generation sample() {
  generation what;
  what.model = "demo";
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = {{"user", "hi \xff"}};
  what.sampling.temperature = 0.5F;
  what.sampling.seed = ~std::uint64_t{0};
  what.sampling.logit_bias = {{3, -1.5F}};
  what.stops.stop_ids = {1, 2};
  what.stop_strings = {"x"};
  return what;
}

}  // namespace

TEST_CASE("what was accepted and did not end is read back as it was") {
  journal_file file;
  {
    journal book(file.path, {});
    book.accept({1, 1}, sample());
    book.accept({2, 2}, sample());
    book.extend({1, 1}, {7, 8});
    book.extend({1, 1}, {9});
    book.end({2, 2});
  }
  const auto content = read_journal(file.path);
  CHECK(content.warning.empty());
  REQUIRE(content.unfinished.size() == 1);
  const auto& entry = content.unfinished.front();
  CHECK(entry.key == request_key{1, 1});
  CHECK(entry.tokens == std::vector<token_id>{7, 8, 9});
  CHECK(same_request(entry.what, sample()));
  CHECK(entry.what.sampling.seed == ~std::uint64_t{0});
  CHECK(entry.what.prompt.messages.front().content == "hi \xff");
}

TEST_CASE("a journal cut off at any byte gives what was whole before, with a warning") {
  journal_file file;
  {
    journal book(file.path, {});
    book.accept({1, 1}, sample());
    book.extend({1, 1}, {7, 8});
  }
  const auto whole = file.bytes();
  std::string_view rest = whole;
  REQUIRE(take_journal_record(rest));
  const auto first = whole.size() - rest.size();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    file.write(whole.substr(0, length));
    const auto content = read_journal(file.path);
    CHECK(content.unfinished.size() == (length >= first ? 1 : 0));
    CHECK(content.warning.empty() == (length == 0 || length == first));
  }
}

TEST_CASE("a journal damaged at any byte never gives a wrong record") {
  journal_file file;
  {
    journal book(file.path, {});
    book.accept({1, 1}, sample());
    book.extend({1, 1}, {7, 8});
  }
  const auto whole = file.bytes();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    file.write(damaged);
    const auto content = read_journal(file.path);
    CHECK_THAT(content.warning, ContainsSubstring("damaged"));
    if (!content.unfinished.empty()) CHECK(same_request(content.unfinished.front().what, sample()));
  }
}

TEST_CASE("random bytes are no journal, and deep nesting does no harm") {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (auto& byte : bytes)
      byte = static_cast<char>(random());
    std::string_view rest = bytes;
    CHECK(!take_journal_record(rest));
  }
  journal_file file;
  {
    journal book(file.path, {});
    book.end({1, 1});
  }
  CHECK(read_journal(file.path).unfinished.empty());
}

TEST_CASE("a journal that grows past its bound is written anew with what is unfinished") {
  journal_file file;
  journal_options options;
  options.bytes_max = 4096;
  journal book(file.path, {}, options);
  book.accept({1, 1}, sample());
  for (std::uint64_t i = 2; i < 100; ++i) {
    book.accept({i, 1}, sample());
    book.end({i, 1});
  }
  CHECK(std::filesystem::file_size(file.path) > 4096);
  book.keep_up(journal::clock::now());
  CHECK(std::filesystem::file_size(file.path) < 2048);
  CHECK(read_journal(file.path).unfinished.size() == 1);
  CHECK((std::filesystem::status(file.path).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
}
