// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/errors.hpp"
#include "runtime/model/model_config.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

/// The input is a config.json; what follows a zero byte is a generation_config.json.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto text = as_text(data, size);
  auto end = text.find('\0');
  auto generation = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  try {
    auto config = parse_model_config(text.substr(0, end), generation, "fuzz");
    require(config.heads > 0 && config.kv_heads > 0 && config.heads % config.kv_heads == 0);
    require(config.layers > 0 && config.vocabulary_size > 0 && config.head_size > 0);
  } catch (const config_error&) {
  }
  return 0;
}
