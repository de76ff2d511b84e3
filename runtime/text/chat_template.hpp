// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/generation.hpp"
#include "runtime/text/jinja/error.hpp"

namespace troupe {

struct chat_template_options {
  bool add_generation_prompt = true;    ///< end where the assistant's answer begins
  std::optional<bool> enable_thinking;  ///< Qwen3's switch; nothing: the template decides
  std::string date_string;              ///< Llama 3.1's "today"; empty: the template decides
  std::optional<std::tm> now;           ///< local time, for templates that ask for it (strftime_now)
};

/// The names that a template sees besides the conversation: "bos_token" and its like.
using template_names = std::vector<std::pair<std::string, std::string>>;

/// A model's chat template (Jinja), which writes a conversation as the text the model was trained on, exactly as
/// transformers' apply_chat_template does for text messages. Unchanging after construction: share it between threads.
class chat_template {
 public:
  /// The template of a model's folder: `chat_template.jinja`, or `chat_template` in `tokenizer_config.json` (a string,
  /// or a list in which `name` is looked for), with the special tokens of `tokenizer_config.json`. Nothing when the
  /// model has none. Throws chat_template_error, naming file, construct and line.
  static std::optional<chat_template> from_folder(const std::filesystem::path& folder,
                                                  std::string_view name = "default");

  explicit chat_template(std::string_view source, template_names special_tokens = {});
  chat_template(chat_template&&) noexcept;
  chat_template& operator=(chat_template&&) noexcept;
  ~chat_template();

  /// Throws chat_template_error where the template refuses the conversation, or for text that is not UTF-8.
  std::string render(std::span<const chat_message> messages, const chat_template_options& options = {}) const;

 private:
  struct program;

  std::unique_ptr<const program> program_;
  template_names special_tokens_;
};

}  // namespace troupe
