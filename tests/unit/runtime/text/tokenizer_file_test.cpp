// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "runtime/text/tokenizer.hpp"
#include "runtime/text/tokenizer_definition.hpp"
#include "runtime/text/tokenizer_error.hpp"

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::filesystem::path reference_file = TROUPE_SOURCE_DIR "/tests/data/tokenizer/tokenizer.json";

json reference() {
  std::ifstream file(reference_file);
  return json::parse(file);
}

troupe::tokenizer load(const std::string& text) { return troupe::tokenizer(troupe::parse_tokenizer_definition(text)); }

struct damage {
  std::function<void(json&)> apply;
  std::string named;  // what the error must name
};

const std::vector<damage>& damages() {
  static const std::vector<damage> all = {
      {[](json& f) { f.erase("model"); }, "'model' is missing"},
      {[](json& f) { f["model"] = 5; }, "model: is a number"},
      {[](json& f) { f["model"]["type"] = "Unigram"; }, "model.type: is \"Unigram\""},
      {[](json& f) { f["model"]["dropout"] = 0.1; }, "model.dropout"},
      {[](json& f) { f["model"]["byte_fallback"] = true; }, "model.byte_fallback"},
      {[](json& f) { f["model"]["continuing_subword_prefix"] = "##"; }, "model.continuing_subword_prefix"},
      {[](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }, "model.end_of_word_suffix"},
      {[](json& f) { f["model"]["ignore_merges"] = "yes"; }, "model.ignore_merges"},
      {[](json& f) { f["model"].erase("vocab"); }, "'vocab' is missing"},
      {[](json& f) { f["model"]["vocab"] = json::array(); }, "model.vocab: is a array"},
      {[](json& f) { f["model"]["vocab"] = json::object(); }, "added_tokens: '<|endoftext|>' has the id 1021"},
      {[](json& f) { f["model"]["vocab"]["!"] = "0"; }, "model.vocab['!']"},
      {[](json& f) { f["model"]["vocab"]["!"] = -1; }, "model.vocab['!']"},
      {[](json& f) { f["model"]["vocab"]["!"] = 1.5; }, "model.vocab['!']"},
      {[](json& f) { f["model"]["vocab"]["!"] = 1e300; }, "model.vocab['!']"},
      {[](json& f) { f["model"]["vocab"]["!"] = 2147483647; }, "token '!' has the id 2147483647"},
      {[](json& f) { f["model"]["vocab"]["!"] = 4294967296; }, "model.vocab['!']"},
      {[](json& f) { f["model"]["vocab"]["!"] = 1; }, "given to two tokens"},
      {[](json& f) { f["model"]["merges"] = "a b"; }, "model.merges: is a string"},
      {[](json& f) { f["model"]["merges"][3] = "ab"; }, "model.merges[3]: is 'ab'"},
      {[](json& f) { f["model"]["merges"][3] = "a b c"; }, "model.merges[3]"},
      {[](json& f) { f["model"]["merges"][3] = json{"a"}; }, "model.merges[3]: has 1 parts"},
      {[](json& f) {
         f["model"]["merges"][3] = json{1, 2};
       },
       "model.merges[3]: is a number"},
      {[](json& f) {
         f["model"]["merges"][3] = json{"nowhere", "a"};
       },
       "'nowhere', which is not in the vocabulary"},
      {[](json& f) { f["added_tokens"] = json::object(); }, "added_tokens: is a object"},
      {[](json& f) { f["added_tokens"][0].erase("id"); }, "added_tokens[0]: 'id' is missing"},
      {[](json& f) { f["added_tokens"][0]["id"] = 7; }, "'<|endoftext|>' has the id 7"},
      {[](json& f) { f["added_tokens"][0]["content"] = 7; }, "added_tokens[0].content"},
      {[](json& f) { f["added_tokens"][0]["content"] = std::string(2000, 'x'); }, "2000 bytes long"},
      {[](json& f) { f["added_tokens"][0]["lstrip"] = 1; }, "added_tokens[0].lstrip"},
      {[](json& f) { f["added_tokens"][1]["content"] = "<|endoftext|>"; }, "<|endoftext|>"},
      {[](json& f) {
         f["normalizer"] = {{"type", "Lowercase"}};
       },
       "'Lowercase', which is not supported"},
      {[](json& f) {
         f["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKC"}}}}};
       },
       "'NFKC'"},
      {[](json& f) { f["normalizer"] = "NFC"; }, "normalizer: is a string"},
      {[](json& f) { f["pre_tokenizer"] = nullptr; }, "pre_tokenizer: is missing"},
      {[](json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}};
       },
       "'Metaspace'"},
      {[](json& f) { f["pre_tokenizer"]["pretokenizers"].erase(1); }, "ByteLevel once, as its last step"},
      {[](json& f) { f["pre_tokenizer"]["pretokenizers"] = json::array(); }, "has 0 steps"},
      {[](json& f) { f["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; }, "'Removed'"},
      {[](json& f) { f["pre_tokenizer"]["pretokenizers"][0]["invert"] = true; }, "invert"},
      {[](json& f) {
         f["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", R"(\w+)"}};
       },
       R"('\w')"},
      {[](json& f) {
         f["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Glob", "*"}};
       },
       "'String' is missing"},
      {[](json& f) { f["decoder"] = nullptr; }, "decoder: is missing"},
      {[](json& f) {
         f["decoder"] = {{"type", "Metaspace"}};
       },
       "decoder.type: is 'Metaspace'"},
      {[](json& f) {
         f["post_processor"] = {{"type", "BertProcessing"}};
       },
       "'BertProcessing'"},
      {[](json& f) { f["post_processor"]["single"] = json::array(); }, "does not have the text itself"},
      {[](json& f) {
         f["post_processor"]["single"].push_back({{"SpecialToken", {{"id", "<b>"}}}});
       },
       "'<b>'"},
      {[](json& f) { f["version"] = "2.0"; }, "version: is \"2.0\""},
  };
  return all;
}

}  // namespace

TEST_CASE("a file that is wrong or not supported gives one error that names the place") {
  for (const damage& d : damages()) {
    json file = reference();
    d.apply(file);
    INFO(d.named);
    CHECK_THROWS_WITH(load(file.dump()), ContainsSubstring(d.named));
    CHECK_THROWS_AS(load(file.dump()), troupe::tokenizer_error);
  }
}

TEST_CASE("other ways to write the same tokenizer are understood") {
  json file = reference();
  const auto expected = load(file.dump()).encode("Hello  wörld, 你好 12");
  for (auto& merge : file["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  file["model"]["merges"].insert(file["model"]["merges"].begin(), "#version: 0.2");
  file["model"].erase("type");
  file["model"].erase("dropout");
  file["model"]["continuing_subword_prefix"] = "";
  file["model"]["end_of_word_suffix"] = "";
  file["truncation"] = {{"max_length", 3}};
  file["decoder"] = {{"type", "Sequence"}, {"decoders", {{{"type", "ByteLevel"}}}}};
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}};
  file["post_processor"] = {{"type", "ByteLevel"}};
  CHECK(load(file.dump()).encode("Hello  wörld, 你好 12") == expected);
}

TEST_CASE("JSON that is broken, nested without end or cut off anywhere is refused") {
  CHECK_THROWS_AS(load(""), troupe::tokenizer_error);
  CHECK_THROWS_AS(load("[]"), troupe::tokenizer_error);
  CHECK_THROWS_WITH(load(std::string(10'000'000, '[')), ContainsSubstring("nested 10000000 deep"));
  CHECK_THROWS_AS(load("{\"model\":{\"vocab\":{\"\xFF\":1}}}"), troupe::tokenizer_error);
  const std::string whole = reference().dump();
  std::mt19937 random(5);
  for (int i = 0; i < 100; ++i)
    CHECK_THROWS_AS(load(whole.substr(0, random() % whole.size())), troupe::tokenizer_error);
}

TEST_CASE("a file with random bytes changed loads or is refused, and nothing else happens") {
  const std::string whole = reference().dump();
  std::mt19937 random(6);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string changed = whole;
    // Most of the file is the vocabulary: the beginning and the end are hit more often.
    const std::size_t span = i % 3 == 0 ? changed.size() : 600;
    for (int n = 0; n < 3; ++n)
      changed[(i % 3 == 1 ? changed.size() - span : 0) + random() % span] = "\"{}[],:0a9-x \xE4"[random() % 14];
    try {
      load(changed).encode("Hello wörld <|im_end|> 你好");
    } catch (const troupe::tokenizer_error&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("errors about a file name it") {
  CHECK_THROWS_WITH(troupe::tokenizer::from_folder("/nowhere/at/all"),
                    ContainsSubstring("/nowhere/at/all/tokenizer.json: there is no such file"));
  CHECK_THROWS_WITH(troupe::tokenizer::from_file(reference_file.parent_path()),
                    ContainsSubstring("not a regular file"));
  CHECK_THROWS_WITH(troupe::tokenizer::from_file(reference_file.parent_path() / "tokenizer_config.json"),
                    ContainsSubstring("tokenizer_config.json: the file: 'model' is missing"));
}
