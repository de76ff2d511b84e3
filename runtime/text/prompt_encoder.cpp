// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/prompt_encoder.hpp"

#include <utility>

#include "runtime/text/tokenizer_error.hpp"

namespace troupe {

prompt_encoder prompt_encoder::from_folder(const std::filesystem::path& folder) {
  prompt_encoder result;
  if (folder.empty() || !exists(folder / "tokenizer.json")) return result;
  result.tokenizer_ = std::make_shared<const tokenizer>(tokenizer::from_folder(folder));
  if (auto found = chat_template::from_folder(folder))
    result.template_ = std::make_shared<const chat_template>(std::move(*found));
  return result;
}

std::vector<token_id> prompt_encoder::encode(const prompt& what, const std::tm& now) const {
  if (what.kind == prompt_kind::tokens) return what.tokens;
  if (!tokenizer_) throw tokenizer_error("this model has no tokenizer.json; give the prompt as token ids");
  if (what.kind == prompt_kind::text) return tokenizer_->encode(what.text, {.add_special_tokens = true});
  if (!template_) throw tokenizer_error("this model has no chat template; give the prompt as text");
  chat_template_options options;
  options.now = now;
  return tokenizer_->encode(template_->render(what.messages, options));
}

}  // namespace troupe
