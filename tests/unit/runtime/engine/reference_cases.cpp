// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/runtime/engine/reference_cases.hpp"

#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

#include "runtime/model/safetensors.hpp"

namespace troupe {

namespace {

std::vector<float> floats(const safetensors_file& file, const std::string& name) {
  const auto& tensor = file.tensors().at(name);
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

}  // namespace

std::vector<reference_case> read_reference_cases(const std::string& folder) {
  std::ifstream stream(folder + "/reference.json");
  const auto reference = nlohmann::json::parse(stream);
  const safetensors_file logits(folder + "/reference_logits.safetensors");
  std::vector<reference_case> cases;
  for (const auto& item : reference.at("cases")) {
    reference_case result;
    result.prompt = item.at("prompt_ids").get<std::vector<token_id>>();
    for (const auto& step : item.at("greedy_token_margin_logprob"))
      result.steps.push_back({step.at(0).get<token_id>(), step.at(1).get<float>(), step.at(2).get<float>()});
    const auto prefix = "case" + std::to_string(cases.size());
    result.prefill_logits = floats(logits, prefix + ".prefill_last");
    result.final_logits = floats(logits, prefix + ".step39");
    cases.push_back(std::move(result));
  }
  return cases;
}

}  // namespace troupe
