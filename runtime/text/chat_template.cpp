// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/chat_template.hpp"

#include <fmt/format.h>

#include "runtime/text/chat_template_file.hpp"
#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/lexer.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/parser.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

jinja::value message_value(jinja::evaluation& run, const chat_message& message, std::size_t index) {
  for (const std::string* text : {&message.role, &message.content})
    if (const auto offset = find_invalid_utf8(*text))
      throw chat_template_error(fmt::format("message {} is not valid UTF-8 at byte {}", index, *offset));
  return run.make_mapping({{"role", jinja::value(message.role)}, {"content", jinja::value(message.content)}});
}

// What transformers passes: tools and documents are there, and none.
std::vector<std::pair<std::string, jinja::value>> globals_of(const template_names& special_tokens,
                                                             const chat_template_options& options) {
  std::vector<std::pair<std::string, jinja::value>> globals;
  for (const auto& [name, text] : special_tokens)
    globals.emplace_back(name, jinja::value(text));
  globals.emplace_back("tools", jinja::value());
  globals.emplace_back("documents", jinja::value());
  globals.emplace_back("add_generation_prompt", jinja::value(options.add_generation_prompt));
  if (options.enable_thinking) globals.emplace_back("enable_thinking", jinja::value(*options.enable_thinking));
  if (!options.date_string.empty()) globals.emplace_back("date_string", jinja::value(options.date_string));
  return globals;
}

}  // namespace

struct chat_template::program {
  jinja::statement_list statements;
};

chat_template::chat_template(std::string_view source, template_names special_tokens)
    : special_tokens_(std::move(special_tokens)) {
  if (source.size() > jinja::template_bytes_max)
    throw chat_template_error(
        fmt::format("the chat template has {} bytes; {} are the most", source.size(), jinja::template_bytes_max));
  if (const auto offset = find_invalid_utf8(source))
    throw chat_template_error(fmt::format("the chat template is not valid UTF-8 at byte {}", *offset));
  program_ = std::make_unique<const program>(program{jinja::parse(jinja::tokenize(source))});
}

chat_template::chat_template(chat_template&&) noexcept = default;
chat_template& chat_template::operator=(chat_template&&) noexcept = default;
chat_template::~chat_template() = default;

std::optional<chat_template> chat_template::from_folder(const std::filesystem::path& folder, std::string_view name) {
  const auto found = find_chat_template(folder, name);
  if (!found) return std::nullopt;
  try {
    return chat_template(found->source, found->special_tokens);
  } catch (const chat_template_error& error) {
    throw chat_template_error(fmt::format("{}: {}", found->path.string(), error.what()));
  }
}

std::string chat_template::render(std::span<const chat_message> messages, const chat_template_options& options) const {
  jinja::evaluation run(globals_of(special_tokens_, options), options.now);
  std::vector<jinja::value> list;
  list.reserve(messages.size());
  for (const chat_message& message : messages)
    list.push_back(message_value(run, message, list.size()));
  run.define("messages", run.make_list(std::move(list)));
  return run.run(program_->statements);
}

}  // namespace troupe
