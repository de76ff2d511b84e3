// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/tokenize_command.hpp"

#include <sstream>
#include <string>

#include <catch2/catch_test_macros.hpp>

namespace {

struct result {
  int code;
  std::string out;
  std::string errors;
};

result run(const std::string& input, troupe::tokenize_options options = {}) {
  if (options.model.empty()) options.model = TROUPE_SOURCE_DIR "/tests/data/tokenizer";
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream errors;
  const int code = troupe::tokenize_command(options, in, out, errors);
  return {code, out.str(), errors.str()};
}

}  // namespace

TEST_CASE("troupe tokenize turns a line of text into a line of ids and back") {
  const result ids = run("\"Hello, world!\"\n\"\"\n");
  CHECK(ids.code == 0);
  CHECK(ids.out == "[39,68,75,326,11,318,268,545,0]\n[]\n");
  const result text = run(ids.out, {.decode = true});
  CHECK(text.code == 0);
  CHECK(text.out == "\"Hello, world!\"\n\"\"\n");
  CHECK(run("[1023, 39]", {.decode = true, .skip_special = true}).out == "\"H\"\n");
}

TEST_CASE("troupe tokenize answers a bad line in its place and goes on") {
  for (const std::string line : {"5", "\"\\ud800\"", "\"\xFF\"", "[[1]]", "{", ""}) {
    const result r = run(line + "\n\"H\"\n");
    INFO(line << " -> " << r.out);
    CHECK(r.code == 1);
    CHECK(r.out.starts_with("{\"error\":\""));
    CHECK(r.out.ends_with("\n[39]\n"));
  }
  for (const std::string line : {"\"x\"", "[1.5]", "[-1]", "[1024]", "[99999999999999999999]", "[\"a\"]"}) {
    const result r = run(line + "\n[39]\n", {.decode = true});
    INFO(line << " -> " << r.out);
    CHECK(r.code == 1);
    CHECK(r.out.ends_with("\n\"H\"\n"));
  }
}

TEST_CASE("troupe tokenize says when there is no tokenizer") {
  const result r = run("\"a\"\n", {.model = "/nowhere"});
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(r.errors == "troupe tokenize: /nowhere/tokenizer.json: there is no such file\n");
}
