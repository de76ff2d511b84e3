// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "runtime/text/tokenizer.hpp"

namespace {

const std::filesystem::path data = TROUPE_SOURCE_DIR "/tests/data/tokenizer";

std::vector<nlohmann::json> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("every reference text encodes and decodes as Hugging Face does") {
  const auto t = troupe::tokenizer::from_folder(data);
  const auto cases = lines_of(data / "cases.jsonl");
  REQUIRE(cases.size() == 420);
  for (const auto& c : cases) {
    INFO(c.at("text").dump());
    const auto ids = c.at("ids").get<std::vector<troupe::token_id>>();
    CHECK(t.encode(c.at("text").get<std::string>()) == ids);
    CHECK(t.decode(ids) == c.at("decoded").get<std::string>());
  }
}

TEST_CASE("every reference conversation encodes as Hugging Face does") {
  const auto t = troupe::tokenizer::from_folder(data);
  const auto cases = lines_of(data / "chat_cases.jsonl");
  REQUIRE(cases.size() == 2);
  for (const auto& c : cases)
    CHECK(t.encode(c.at("rendered").get<std::string>()) == c.at("ids").get<std::vector<troupe::token_id>>());
}
