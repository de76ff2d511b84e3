// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "runtime/text/text_file.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

namespace {

/// The demo model's, less the normalization to composed characters, which changes text on purpose.
tokenizer plain_tokenizer() {
  auto definition = parse_tokenizer_definition(
      read_text_file(TROUPE_SOURCE_DIR "/models/demo/tokenizer.json", tokenizer::file_bytes_max));
  definition.nfc = false;
  return tokenizer{definition};
}

}  // namespace

/// Text that is accepted comes back byte for byte, at once and token by token.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto made = plain_tokenizer();
  auto text = as_text(data, size);
  encode_options plain;
  plain.find_special_tokens = false;
  try {
    auto ids = made.encode(text, plain);
    std::string bytes;
    for (auto id : ids)
      bytes += made.token_bytes(id);
    require(bytes == text);
    require(made.decode(ids) == text);
  } catch (const tokenizer_error&) {
  }
  return 0;
}
