// SPDX-License-Identifier: Apache-2.0
#include "actors/answer_stream.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace troupe {

void answer_stream::add(answer_event piece) {
  assert(!finished_ && (!pending_ || pending_->finish == finish_reason::none));
  given_.take(piece);
  if (piece.tokens.empty() && piece.text.empty() && piece.finish == finish_reason::none) return;
  if (!pending_) {
    pending_ = std::move(piece);
    return;
  }
  auto& tokens = pending_->tokens;
  tokens.insert(tokens.end(), std::make_move_iterator(piece.tokens.begin()),
                std::make_move_iterator(piece.tokens.end()));
  pending_->text += piece.text;
  pending_->finish = piece.finish;
  pending_->usage = piece.usage;
  pending_->error = std::move(piece.error);
  pending_->error_code = std::move(piece.error_code);
}

void answer_stream::grant(std::uint32_t answers) { credit_ += std::min(answers, credit_max - credit_); }

std::optional<answer_event> answer_stream::take() {
  if (!pending_ || credit_ == 0) return std::nullopt;
  --credit_;
  finished_ = pending_->finish != finish_reason::none;
  return std::exchange(pending_, std::nullopt);
}

}  // namespace troupe
