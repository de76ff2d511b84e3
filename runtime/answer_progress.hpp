// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/generation.hpp"

namespace troupe {

/// How much of an answer somebody has. Pieces may come twice, overlap, or leave something out; each token and each byte
/// of text is taken once.
struct answer_progress {
  std::uint32_t tokens = 0;      ///< positions below this are had
  std::uint64_t text_bytes = 0;  ///< bytes below this are had

  /// Takes from `piece` what is had already and counts the rest. False, and nothing changed, when the piece does not
  /// follow on what is had: something between was lost.
  bool take(answer_event& piece);
};

}  // namespace troupe
