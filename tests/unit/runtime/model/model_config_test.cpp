// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/model_config.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "runtime/model/errors.hpp"
#include "runtime/model/model_presets.hpp"
#include "tests/unit/runtime/model/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using nlohmann::json;

namespace {

json llama() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 96,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 20000.0, "torch_dtype": "bfloat16",
    "hidden_act": "silu", "eos_token_id": 7, "tie_word_embeddings": true})");
}

model_config parse(const json& config, const std::string& generation = {}) {
  return parse_model_config(config.dump(), generation, "folder");
}

void check_refused(const json& config, const std::string& key, const std::string& reason) {
  INFO(config.dump());
  CHECK_THROWS_MATCHES(
      parse(config), config_error,
      MessageMatches(ContainsSubstring("config.json") && ContainsSubstring(key) && ContainsSubstring(reason)));
}

void check_value_refused(const std::string& key, const json& value, const std::string& reason) {
  auto config = llama();
  config[key] = value;
  check_refused(config, "\"" + key + "\"", reason);
}

}  // namespace

TEST_CASE("an old configuration is read whole") {
  const auto config = parse(llama());
  CHECK(config.kind == architecture::llama);
  CHECK(config.hidden_size == 64);
  CHECK(config.intermediate_size == 96);
  CHECK(config.layers == 3);
  CHECK(config.heads == 4);
  CHECK(config.kv_heads == 2);
  CHECK(config.head_size == 16);
  CHECK(config.vocabulary_size == 100);
  CHECK(config.positions_max == 256);
  CHECK(config.norm_epsilon == 1e-5F);
  CHECK(config.rope_theta == 20000);
  CHECK(!config.rope_scaling);
  CHECK(config.tied_embeddings);
  CHECK(config.eos_ids == std::vector<token_id>{7});
}

TEST_CASE("the old and the new spelling of the rotations mean the same") {
  auto old_one = llama();
  old_one["rope_scaling"] =
      json::parse(R"({"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64})");
  auto new_one = llama();
  new_one.erase("rope_theta");
  new_one.erase("torch_dtype");
  new_one["dtype"] = "bfloat16";
  new_one["rope_parameters"] = old_one["rope_scaling"];
  new_one["rope_parameters"].erase("type");
  new_one["rope_parameters"]["rope_type"] = "llama3";
  new_one["rope_parameters"]["rope_theta"] = 20000.0;
  CHECK(parse(old_one) == parse(new_one));
  CHECK(parse(new_one).rope_scaling == llama3_rope_scaling{8, 1, 4, 64});
  new_one["rope_parameters"].erase("rope_theta");
  check_refused(new_one, "rope_theta", "must be here or beside");
}

TEST_CASE("what is null or absent takes its default") {
  auto config = llama();
  config.erase("num_key_value_heads");
  config["head_dim"] = nullptr;
  config["rope_scaling"] = nullptr;
  config["sliding_window"] = nullptr;
  config.erase("tie_word_embeddings");
  const auto parsed = parse(config);
  CHECK(parsed.kv_heads == 4);
  CHECK(parsed.head_size == 16);
  CHECK(!parsed.tied_embeddings);
}

TEST_CASE("all ids that end a text come from generation_config.json, else from config.json") {
  CHECK(parse(llama(), R"({"eos_token_id": [9, 3, 9]})").eos_ids == std::vector<token_id>{3, 9});
  CHECK(parse(llama(), R"({"eos_token_id": 5})").eos_ids == std::vector<token_id>{5});
  CHECK(parse(llama(), R"({"temperature": 0.6})").eos_ids == std::vector<token_id>{7});
  CHECK_THROWS_MATCHES(
      parse(llama(), R"({"eos_token_id": 100})"), config_error,
      MessageMatches(ContainsSubstring("generation_config.json") && ContainsSubstring("from 0 to 99")));
}

TEST_CASE("each feature that would change the arithmetic is refused by name") {
  check_value_refused("architectures", json::array({"MixtralForCausalLM"}), "Qwen3ForCausalLM");
  check_value_refused("architectures", json::array(), "LlamaForCausalLM");
  check_value_refused("hidden_act", "gelu", "silu");
  check_value_refused("num_experts", 64, "mixtures of experts");
  check_value_refused("num_local_experts", 8, "mixtures of experts");
  check_value_refused("quantization_config", json::object({{"quant_method", "fp8"}}), "bfloat16");
  check_value_refused("attention_bias", true, "Qwen2");
  check_value_refused("mlp_bias", true, "not supported");
  check_value_refused("layer_types", json::array({"full_attention", "sliding_attention"}), "full_attention");
  auto rope = llama();
  rope["rope_scaling"] = json::object({{"rope_type", "yarn"}, {"factor", 4.0}});
  check_refused(rope, "rope_type", "llama3");
  auto window = llama();
  window["architectures"] = json::array({"Qwen2ForCausalLM"});
  window["use_sliding_window"] = true;
  window["sliding_window"] = 4096;
  window["max_window_layers"] = 2;
  check_refused(window, "use_sliding_window", "sliding window");
  window["max_window_layers"] = 3;  // no layer has it
  CHECK(parse(window).kind == architecture::qwen2);
}

TEST_CASE("each size out of range is named with its range") {
  for (const auto* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                          "max_position_embeddings"}) {
    for (const auto& value : {json(0), json(-1), json(1.5), json("64"), json(1ULL << 60), json(true), json::array()})
      check_value_refused(key, value, "must be a whole number from 1 to");
    auto config = llama();
    config.erase(key);
    check_refused(config, key, "missing");
  }
  check_value_refused("num_key_value_heads", 3, "must divide the 4");
  check_value_refused("head_dim", 20, "multiple of 16");
  auto uneven = llama();
  uneven["hidden_size"] = 63;
  check_refused(uneven, "num_attention_heads", "must divide hidden_size");
  check_value_refused("rms_norm_eps", 2.0, "must be a number");
  check_value_refused("rope_theta", 0.5, "must be a number");
  check_value_refused("rope_scaling", "llama3", "must be an object");
  check_value_refused("tie_word_embeddings", "yes", "true or false");
  check_value_refused("eos_token_id", -1, "token id");
  check_value_refused("eos_token_id", json(std::vector<int>(65, 1)), "at most 64");
}

TEST_CASE("a file that is not one clean JSON object is refused with the reason") {
  const auto refused = [](const std::string& text, const std::string& reason) {
    CHECK_THROWS_MATCHES(parse_model_config(text, {}, "folder"), config_error,
                         MessageMatches(ContainsSubstring(reason)));
  };
  refused("", "not valid JSON");
  refused("[]", "not a JSON object");
  refused("3", "not a JSON object");
  refused("{\"a\": 1", "not valid JSON at byte");
  refused("{\"a\": 1} x", "not valid JSON");
  refused("{\"a\": \"\xff\"}", "not valid JSON");
  refused(R"({"a": 1, "b": {"c": 1, "c": 2}})", "\"c\" appears twice");
  refused("{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}", "nested deeper");
  refused("{\"a\": 1e999}", "not valid JSON");
}

TEST_CASE("a missing or oversized config.json is named") {
  const temporary_folder folder;
  CHECK_THROWS_MATCHES(read_model_config(folder.path()), config_error,
                       MessageMatches(ContainsSubstring("config.json")));
  folder.write("config.json", std::string((1U << 20) + 1, ' '));
  CHECK_THROWS_MATCHES(read_model_config(folder.path()), config_error, MessageMatches(ContainsSubstring("at most")));
}

TEST_CASE("the presets have the published numbers of parameters") {
  const auto parameters = [](const char* name) {
    const auto config = *find_model_preset(name);
    const auto query = config.heads * config.head_size, kv = config.kv_heads * config.head_size;
    const auto layer = config.hidden_size * (2 * query + 2 * kv + 3 * config.intermediate_size);
    const auto embeddings = config.vocabulary_size * config.hidden_size * (config.tied_embeddings ? 1 : 2);
    return static_cast<double>(config.layers * layer + embeddings) * 1e-9;
  };
  const std::pair<const char*, double> published[] = {{"qwen3-0.6b", 0.6}, {"qwen3-1.7b", 1.7}, {"qwen3-4b", 4.0},
                                                      {"qwen3-8b", 8.2},   {"qwen3-14b", 14.8}, {"qwen3-32b", 32.8},
                                                      {"llama3-8b", 8.03}};
  CHECK(model_preset_names().size() == std::size(published));
  for (const auto& [name, billions] : published) {
    INFO(name);
    CHECK(std::abs(parameters(name) - billions) < 0.06);
  }
  CHECK(!find_model_preset("qwen3-7b"));
}
