// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/pre_tokenizer.hpp"

namespace troupe {

pre_tokenizer::pre_tokenizer(const std::vector<pre_tokenizer_step>& steps) {
  for (const pre_tokenizer_step& s : steps) {
    if (!s.pattern && !s.add_prefix_space) continue;
    steps_.push_back({s.add_prefix_space, std::nullopt});
    if (s.pattern) steps_.back().regex.emplace(*s.pattern);
  }
}

class pre_tokenizer::next_step final : public piece_sink {
 public:
  next_step(const pre_tokenizer& owner, std::size_t index, piece_sink& words)
      : owner_(owner), index_(index), words_(words) {}
  void piece(std::string_view text) override { owner_.run(index_, text, words_); }

 private:
  const pre_tokenizer& owner_;
  std::size_t index_;
  piece_sink& words_;
};

void pre_tokenizer::run(std::size_t index, std::string_view text, piece_sink& words) const {
  if (index == steps_.size()) {
    words.piece(text);
  } else if (steps_[index].add_prefix_space && !text.starts_with(' ')) {
    std::string prefixed(1, ' ');
    prefixed.append(text);
    split_by(index, prefixed, words);
  } else {
    split_by(index, text, words);
  }
}

void pre_tokenizer::split_by(std::size_t index, std::string_view text, piece_sink& words) const {
  const bool last = index + 1 == steps_.size();
  next_step next(*this, index + 1, words);
  piece_sink& sink = last ? words : static_cast<piece_sink&>(next);
  if (steps_[index].regex) {
    steps_[index].regex->split(text, sink);
  } else {
    sink.piece(text);
  }
}

}  // namespace troupe
