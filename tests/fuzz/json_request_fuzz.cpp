// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/json_tree.hpp"
#include "apps/gateway/openai_request.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

/// The first byte picks the endpoint, the rest is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const served_model model{"demo", 0, 2048, 1024};
  auto api = data[0] % 2 == 0 ? completion_api::chat : completion_api::text;
  auto body = as_text(data + 1, size - 1);
  auto result = parse_completion_request(api, body, model, 7);
  if (const auto* fault = std::get_if<api_error>(&result)) {
    require(!fault->message.empty());
    return 0;
  }
  const auto& request = std::get<completion_request>(result);
  require(!request.generations.empty() && request.choices_per_prompt >= 1);
  for (const auto& what : request.generations)
    require(find_error(what.sampling, model.vocabulary).empty());
  return 0;
}
