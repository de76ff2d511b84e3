// SPDX-License-Identifier: Apache-2.0
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

#include "runtime/text/chat_template.hpp"

namespace {

using nlohmann::json;

const std::filesystem::path data = TROUPE_SOURCE_DIR "/tests/data";

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The time that tools/chat_template_reference.py gives to strftime_now.
std::tm reference_time() {
  std::tm now{};
  now.tm_year = 2024 - 1900;
  now.tm_mon = 6;
  now.tm_mday = 9;
  now.tm_hour = 5;
  now.tm_min = 4;
  now.tm_sec = 3;
  now.tm_isdst = -1;
  std::mktime(&now);  // fills in the days of week and year
  return now;
}

std::vector<troupe::chat_message> messages_of(const json& list) {
  std::vector<troupe::chat_message> messages;
  for (const json& m : list)
    messages.push_back({m.at("role"), m.at("content")});
  return messages;
}

troupe::chat_template_options options_of(const json& given) {
  troupe::chat_template_options options;
  options.add_generation_prompt = given.value("add_generation_prompt", true);
  if (given.contains("enable_thinking")) options.enable_thinking = given["enable_thinking"].get<bool>();
  options.date_string = given.value("date_string", "");
  options.now = reference_time();
  return options;
}

// Nothing where the template is refused or fails.
std::optional<std::string> render(const std::string& source, const json& c, std::string& error) {
  try {
    const troupe::chat_template t(source, {{"bos_token", "<|begin_of_text|>"}});
    return t.render(messages_of(c.at("messages")), options_of(c.value("options", json::object())));
  } catch (const troupe::chat_template_error& e) {
    error = e.what();
    return std::nullopt;
  }
}

void check(const std::string& source, const json& c) {
  std::string error;
  const auto rendered = render(source, c, error);
  INFO(source << "\n" << c.dump() << "\n" << error);
  if (c.at("rendered").is_null()) {
    CHECK_FALSE(rendered);
  } else {
    REQUIRE(rendered);
    CHECK(*rendered == c.at("rendered").get<std::string>());
  }
}

}  // namespace

TEST_CASE("templates like those of the supported models render as in Python's jinja2") {
  const std::string name = GENERATE("qwen2_5", "qwen3", "llama3", "llama3_1");
  const std::string source = text_of(data / "chat_templates" / (name + ".jinja"));
  const json cases = json::parse(text_of(data / "chat_templates" / (name + ".json")));
  REQUIRE(cases.size() == 70);
  for (const json& c : cases)
    check(source, c);
}

TEST_CASE("each construct of the template language renders as in Python's jinja2") {
  const std::string file = GENERATE("snippets.json", "white_space.json");
  const json cases = json::parse(text_of(data / "chat_templates" / file));
  REQUIRE(cases.size() >= 100);
  for (const json& c : cases)
    check(c.at("template"), c);
}

TEST_CASE("the reference conversations render as in transformers") {
  const auto t = troupe::chat_template::from_folder(data / "tokenizer");
  REQUIRE(t);
  std::ifstream file(data / "tokenizer" / "chat_cases.jsonl");
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const json c = json::parse(line);
    CHECK(t->render(messages_of(c.at("messages"))) == c.at("rendered").get<std::string>());
  }
  CHECK(cases == 2);
}
