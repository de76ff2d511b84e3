// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "runtime/text/chat_template.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

/// The input is a template's source, rendered over a small conversation.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<chat_message> conversation{
      {"system", "Be brief."}, {"user", "Hi \xc3\xa9"}, {"assistant", "<think>x</think>Hello"}, {"user", "Bye"}};
  try {
    chat_template made{as_text(data, size), {{"bos_token", "<s>"}, {"eos_token", "</s>"}}};
    require(made.render(conversation).size() <= 4U * 1024 * 1024);
  } catch (const chat_template_error&) {
  }
  return 0;
}
