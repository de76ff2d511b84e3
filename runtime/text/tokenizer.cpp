// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/tokenizer.hpp"

#include <fmt/format.h>

#include "runtime/text/byte_level.hpp"
#include "runtime/text/normalizer.hpp"
#include "runtime/text/text_file.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"
#include "runtime/text/utf8_assembler.hpp"

namespace troupe {
namespace {

std::vector<added_token> select(const tokenizer_definition& definition, bool normalized) {
  std::vector<added_token> selected;
  for (const added_token& token : definition.added_tokens) {
    if (token.normalized != normalized) continue;
    selected.push_back(token);
    if (normalized && definition.nfc) selected.back().content = to_nfc(token.content);
  }
  return selected;
}

class word_encoder final : public piece_sink {
 public:
  word_encoder(const bpe& model, std::vector<token_id>& out) : model_(model), out_(out) {}
  void piece(std::string_view word) override { model_.encode_word(word, out_); }

 private:
  const bpe& model_;
  std::vector<token_id>& out_;
};

}  // namespace

tokenizer tokenizer::from_file(const std::filesystem::path& path) {
  std::string text;
  try {
    text = read_text_file(path, file_bytes_max);
  } catch (const std::runtime_error& error) {
    throw tokenizer_error(error.what());
  }
  try {
    return tokenizer(parse_tokenizer_definition(text));
  } catch (const tokenizer_error& error) {
    throw tokenizer_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

tokenizer tokenizer::from_folder(const std::filesystem::path& folder) { return from_file(folder / "tokenizer.json"); }

tokenizer::tokenizer(const tokenizer_definition& definition)
    : model_(definition.model),
      pre_tokenizer_(definition.pre_tokenizer),
      nfc_(definition.nfc),
      raw_added_(select(definition, false)),
      normalized_added_(select(definition, true)),
      prefix_(definition.prefix),
      suffix_(definition.suffix) {
  collect_tokens(definition);
  for (const auto* ids : {&prefix_, &suffix_})
    for (const token_id id : *ids)
      if (!tokens_.contains(id))
        throw tokenizer_error(fmt::format("the post-processor adds the id {}, which is no token", id));
}

// An added token may have the id of a token of the model; then the added one is what decoding sees.
void tokenizer::collect_tokens(const tokenizer_definition& definition) {
  for (const added_token& token : definition.added_tokens) {
    const std::string spelling = token.normalized && nfc_ ? to_nfc(token.content) : token.content;
    if (!added_spellings_.emplace(token.content, token.id).second || tokens_.contains(token.id))
      throw tokenizer_error(fmt::format("the added token '{}' with the id {} is there twice", token.content, token.id));
    const auto bytes = bytes_of_spelling(spelling);
    tokens_.add(token.id, bytes ? *bytes : spelling);
    special_.resize(tokens_.size());
    if (token.special) special_[token.id] = true;
  }
  for (std::size_t i = 0; i < model_.tokens().size(); ++i) {
    const auto id = static_cast<token_id>(i);
    if (model_.tokens().contains(id) && !tokens_.contains(id)) tokens_.add(id, model_.tokens().bytes(id));
  }
}

std::vector<token_id> tokenizer::encode(std::string_view text, const encode_options& options) const {
  if (text.size() > options.bytes_max)
    throw tokenizer_error(fmt::format("the text has {} bytes; {} are the most", text.size(), options.bytes_max));
  if (const auto offset = find_invalid_utf8(text))
    throw tokenizer_error(fmt::format("the text is not valid UTF-8 at byte {}", *offset));
  std::vector<token_id> ids;
  if (options.add_special_tokens) ids = prefix_;
  for (const text_piece& piece : raw_added_.split(text, options.find_special_tokens)) {
    if (piece.token) {
      ids.push_back(*piece.token);
    } else if (nfc_ && !is_plainly_nfc(piece.text)) {
      encode_plain(to_nfc(piece.text), options.find_special_tokens, ids);
    } else {
      encode_plain(piece.text, options.find_special_tokens, ids);
    }
  }
  if (options.add_special_tokens) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
  return ids;
}

void tokenizer::encode_plain(std::string_view text, bool find_special, std::vector<token_id>& out) const {
  word_encoder words(model_, out);
  for (const text_piece& piece : normalized_added_.split(text, find_special)) {
    if (piece.token) {
      out.push_back(*piece.token);
    } else {
      pre_tokenizer_.split(piece.text, words);
    }
  }
}

std::string tokenizer::decode(std::span<const token_id> ids, bool skip_special) const {
  std::string text;
  utf8_assembler assembler;
  for (const token_id id : ids)
    if (const std::string_view bytes = token_bytes(id); !skip_special || !is_special(id)) assembler.push(bytes, text);
  assembler.finish(text);
  return text;
}

std::string_view tokenizer::token_bytes(token_id id) const {
  if (!tokens_.contains(id))
    throw tokenizer_error(fmt::format("{} is not the id of a token; ids lie between 0 and {}", id, tokens_.size() - 1));
  return tokens_.bytes(id);
}

std::optional<token_id> tokenizer::find(std::string_view spelling) const {
  if (const auto added = added_spellings_.find(std::string(spelling)); added != added_spellings_.end())
    return added->second;
  if (const auto bytes = bytes_of_spelling(spelling)) return model_.tokens().find(*bytes);
  return std::nullopt;
}

}  // namespace troupe
