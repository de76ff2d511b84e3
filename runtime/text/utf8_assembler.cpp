// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/utf8_assembler.hpp"

#include "runtime/text/utf8.hpp"

namespace troupe {

void utf8_assembler::push(std::string_view bytes, std::string& out) {
  if (pending_.empty()) {
    emit_certain(bytes, out);
  } else if (!bytes.empty()) {
    std::string joined = std::move(pending_);
    pending_.clear();
    joined += bytes;
    emit_certain(joined, out);
  }
}

void utf8_assembler::finish(std::string& out) {
  if (!pending_.empty()) out += replacement_character;
  pending_.clear();
}

void utf8_assembler::emit_certain(std::string_view bytes, std::string& out) {
  while (const auto offset = find_invalid_utf8(bytes)) {
    out += bytes.substr(0, *offset);
    bytes.remove_prefix(*offset);
    const utf8_step step = next_utf8(bytes);
    if (step.status == utf8_status::incomplete) {
      pending_ = bytes;
      return;
    }
    out += replacement_character;
    bytes.remove_prefix(step.length);
  }
  out += bytes;
}

}  // namespace troupe
