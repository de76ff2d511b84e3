// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// Turns a stream of bytes into a stream of whole characters. Bytes that are no character become U+FFFD, as Python's
/// `bytes.decode("utf-8", errors="replace")` does on the whole.
class utf8_assembler {
 public:
  /// Appends to `out` every character that is certain by now.
  void push(std::string_view bytes, std::string& out);

  /// Appends what an unfinished character at the end becomes; ready for a new stream afterwards.
  void finish(std::string& out);

 private:
  void emit_certain(std::string_view bytes, std::string& out);

  std::string pending_;  // an unfinished character, at most 3 bytes
};

}  // namespace troupe
