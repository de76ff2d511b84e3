// SPDX-License-Identifier: Apache-2.0
#include "runtime/answer_progress.hpp"

#include <algorithm>

namespace troupe {

bool answer_progress::take(answer_event& piece) {
  auto is_new = [this](const answer_token& token) { return token.position >= tokens; };
  auto first = std::find_if(piece.tokens.begin(), piece.tokens.end(), is_new);
  if (first != piece.tokens.end() && first->position > tokens) return false;
  // An error ends an answer wherever it is; what was still to come before it does not matter.
  if (piece.text_offset > text_bytes && piece.finish != finish_reason::error && piece.finish != finish_reason::abort)
    return false;
  piece.tokens.erase(piece.tokens.begin(), first);
  tokens += static_cast<std::uint32_t>(piece.tokens.size());
  auto had = std::min<std::uint64_t>(text_bytes - std::min(text_bytes, piece.text_offset), piece.text.size());
  piece.text.erase(0, had);
  piece.text_offset = text_bytes;
  text_bytes += piece.text.size();
  return true;
}

}  // namespace troupe
