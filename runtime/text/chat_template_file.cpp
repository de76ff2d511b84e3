// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/chat_template_file.hpp"

#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/text_file.hpp"

namespace troupe {
namespace {

using nlohmann::json;

constexpr std::uintmax_t config_bytes_max = 32U << 20U;
constexpr std::size_t config_depth_max = 64;

std::string read(const std::filesystem::path& path, std::uintmax_t bytes_max) {
  try {
    return read_text_file(path, bytes_max);
  } catch (const std::runtime_error& error) {
    throw chat_template_error(error.what());
  }
}

json read_config(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return json::object();
  const std::string text = read(path, config_bytes_max);
  if (json_depth(text) > config_depth_max)
    throw chat_template_error(fmt::format("{}: the JSON is nested too deep", path.string()));
  try {
    json config = json::parse(text);
    if (!config.is_object()) throw chat_template_error(fmt::format("{}: the file is not a JSON object", path.string()));
    return config;
  } catch (const json::exception& error) {
    throw chat_template_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

// A special token is a string, or an object with its content.
template_names special_tokens_of(const json& config) {
  template_names names;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const json token = config.value(key, json());
    if (token.is_string()) names.emplace_back(key, token.get<std::string>());
    if (token.is_object() && token.contains("content") && token["content"].is_string())
      names.emplace_back(key, token["content"].get<std::string>());
  }
  return names;
}

std::string named_template(const json& list, std::string_view name, const std::filesystem::path& path) {
  std::string names;
  for (const json& entry : list) {
    const bool usable = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                        entry.contains("template") && entry["template"].is_string();
    if (!usable)
      throw chat_template_error(fmt::format("{}: chat_template has an entry without name and template", path.string()));
    if (entry["name"] == name) return entry["template"].get<std::string>();
    names += (names.empty() ? "" : ", ") + entry["name"].get<std::string>();
  }
  throw chat_template_error(
      fmt::format("{}: there is no chat template '{}'; there are: {}", path.string(), name, names));
}

}  // namespace

std::optional<chat_template_file> find_chat_template(const std::filesystem::path& folder, std::string_view name) {
  const auto config_path = folder / "tokenizer_config.json";
  const json config = read_config(config_path);
  chat_template_file found{config_path, "", special_tokens_of(config)};
  if (const auto own = folder / "chat_template.jinja"; std::filesystem::exists(own)) {
    found.path = own;
    found.source = read(own, jinja::template_bytes_max);
    return found;
  }
  const json source = config.value("chat_template", json());
  if (source.is_null()) return std::nullopt;
  if (source.is_string()) {
    found.source = source.get<std::string>();
  } else if (source.is_array()) {
    found.source = named_template(source, name, config_path);
  } else {
    throw chat_template_error(fmt::format("{}: chat_template is a {}; a string or a list is needed",
                                          config_path.string(), source.type_name()));
  }
  return found;
}

}  // namespace troupe
