// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "runtime/text/tokenizer.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

/// The input is a tokenizer.json; one that is accepted must encode and decode without reading outside itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tokenizer made{parse_tokenizer_definition(as_text(data, size))};
    for (auto text :
         {"", "Hello, world! 123 \xc3\xa9\xe2\x82\xac", "<|im_start|>user\n<|im_end|>", "aaaaaaaaaaaaaaaaaaaaaaaa"}) {
      auto ids = made.encode(text);
      for (auto id : ids)
        require(made.contains(id));
      made.decode(ids);
    }
  } catch (const tokenizer_error&) {
  }
  return 0;
}
