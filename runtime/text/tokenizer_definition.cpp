// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/tokenizer_definition.hpp"

#include <limits>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/text/text_file.hpp"
#include "runtime/text/tokenizer_error.hpp"

namespace troupe {
namespace {

using nlohmann::json;

constexpr std::size_t depth_max = 64;
constexpr std::size_t steps_max = 16;

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw tokenizer_error(where + ": " + what);
}

const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json& need(const json& object, const char* key, const std::string& where) {
  const json* found = find(object, key);
  if (found == nullptr) refuse(where, fmt::format("'{}' is missing", key));
  return *found;
}

const std::string& as_string(const json& value, const std::string& where) {
  if (!value.is_string()) refuse(where, fmt::format("is a {}; a string is needed", value.type_name()));
  return value.get_ref<const std::string&>();
}

const json& as_array(const json& value, const std::string& where) {
  if (!value.is_array()) refuse(where, fmt::format("is a {}; an array is needed", value.type_name()));
  return value;
}

const json& as_object(const json& value, const std::string& where) {
  if (!value.is_object()) refuse(where, fmt::format("is a {}; an object is needed", value.type_name()));
  return value;
}

token_id as_id(const json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<token_id>::max())
    refuse(where, fmt::format("is {}; a token id is needed", value.dump().substr(0, 64)));
  return value.get<token_id>();
}

bool flag(const json& object, const char* key, const std::string& where, bool otherwise) {
  const json* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(where + "." + key, fmt::format("is a {}; a boolean is needed", value->type_name()));
  return value->get<bool>();
}

std::string type_of(const json& object, const std::string& where) {
  return as_string(need(as_object(object, where), "type", where), where + ".type");
}

// ---- model ----

void refuse_unless_off(const json& model, const char* key) {
  const json* value = find(model, key);
  if (value == nullptr || *value == false || *value == "" || *value == 0) return;
  refuse(std::string("model.") + key, fmt::format("is {}, which is not supported", value->dump().substr(0, 64)));
}

std::pair<std::string, std::string> merge_of(const json& entry, std::size_t index) {
  const std::string where = fmt::format("model.merges[{}]", index);
  if (entry.is_array()) {
    if (entry.size() != 2) refuse(where, fmt::format("has {} parts; two are needed", entry.size()));
    return {as_string(entry[0], where), as_string(entry[1], where)};
  }
  const std::string& text = as_string(entry, where);
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    refuse(where, fmt::format("is '{}'; two tokens with one space between them are needed", text));
  return {text.substr(0, space), text.substr(space + 1)};
}

bpe_definition model_of(const json& model) {
  as_object(model, "model");
  if (const json* type = find(model, "type"); type != nullptr && *type != "BPE")
    refuse("model.type", fmt::format("is {}, which is not supported; byte-level BPE is", type->dump().substr(0, 64)));
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
    refuse_unless_off(model, key);
  bpe_definition result;
  result.ignore_merges = flag(model, "ignore_merges", "model", false);
  const json& tokens = as_object(need(model, "vocab", "model"), "model.vocab");
  result.tokens.reserve(tokens.size());
  for (const auto& [spelling, id] : tokens.items())
    result.tokens.emplace_back(spelling, as_id(id, fmt::format("model.vocab['{}']", spelling)));
  const json& merges = as_array(need(model, "merges", "model"), "model.merges");
  result.merges.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (merges[i].is_string() && merges[i].get_ref<const std::string&>().starts_with("#version")) continue;
    result.merges.push_back(merge_of(merges[i], i));
  }
  return result;
}

// ---- added tokens ----

added_token added_token_of(const json& entry, const std::string& where) {
  as_object(entry, where);
  added_token token;
  token.id = as_id(need(entry, "id", where), where + ".id");
  token.content = as_string(need(entry, "content", where), where + ".content");
  token.single_word = flag(entry, "single_word", where, false);
  token.lstrip = flag(entry, "lstrip", where, false);
  token.rstrip = flag(entry, "rstrip", where, false);
  token.special = flag(entry, "special", where, false);
  token.normalized = flag(entry, "normalized", where, !token.special);
  return token;
}

// Hugging Face does not read the id of an added token: one that is in the vocabulary has its id there, the others are
// numbered on from the end of the vocabulary. A file that says otherwise would be read in two ways.
void check_added_ids(const std::vector<added_token>& added, const bpe_definition& model) {
  std::unordered_map<std::string_view, token_id> ids;
  ids.reserve(model.tokens.size());
  for (const auto& [spelling, id] : model.tokens)
    ids.emplace(spelling, id);
  auto next = static_cast<token_id>(model.tokens.size());
  for (const added_token& token : added) {
    const auto known = ids.find(token.content);
    const token_id expected = known != ids.end() ? known->second : next++;
    if (token.id != expected)
      refuse("added_tokens", fmt::format("'{}' has the id {}; by the vocabulary and the tokens before it, it is {}",
                                         token.content, token.id, expected));
  }
}

std::vector<added_token> added_tokens_of(const json& file) {
  std::vector<added_token> tokens;
  const json* list = find(file, "added_tokens");
  if (list == nullptr) return tokens;
  as_array(*list, "added_tokens");
  for (std::size_t i = 0; i < list->size(); ++i)
    tokens.push_back(added_token_of((*list)[i], fmt::format("added_tokens[{}]", i)));
  return tokens;
}

// ---- the way from text to words and back ----

bool normalizer_is_nfc(const json* normalizer) {
  if (normalizer == nullptr) return false;
  const std::string type = type_of(*normalizer, "normalizer");
  if (type == "NFC") return true;
  if (type != "Sequence")
    refuse("normalizer.type", fmt::format("is '{}', which is not supported; NFC is, or none", type));
  const json& parts = as_array(need(*normalizer, "normalizers", "normalizer"), "normalizer.normalizers");
  for (const json& part : parts)
    if (const std::string inner = type_of(part, "normalizer.normalizers"); inner != "NFC")
      refuse("normalizer.normalizers", fmt::format("has '{}', which is not supported; NFC is", inner));
  return !parts.empty();
}

std::string escaped(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{}#&-~ )").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

pre_tokenizer_step split_step(const json& entry, const std::string& where) {
  const std::string& behavior = as_string(need(entry, "behavior", where), where + ".behavior");
  if (behavior != "Isolated")
    refuse(where + ".behavior", fmt::format("is '{}', which is not supported; Isolated is", behavior));
  if (flag(entry, "invert", where, false)) refuse(where + ".invert", "is true, which is not supported");
  const json& pattern = as_object(need(entry, "pattern", where), where + ".pattern");
  if (const json* regex = find(pattern, "Regex")) return {false, as_string(*regex, where + ".pattern.Regex")};
  const std::string& text = as_string(need(pattern, "String", where + ".pattern"), where + ".pattern.String");
  if (text.empty()) refuse(where + ".pattern.String", "is empty");
  return {false, escaped(text)};
}

pre_tokenizer_step byte_level_step(const json& entry, const std::string& where) {
  pre_tokenizer_step step;
  step.add_prefix_space = flag(entry, "add_prefix_space", where, true);
  if (flag(entry, "use_regex", where, true)) step.pattern = byte_level_pattern;
  return step;
}

std::vector<pre_tokenizer_step> pre_tokenizer_of(const json* entry) {
  if (entry == nullptr) refuse("pre_tokenizer", "is missing; ByteLevel is needed");
  std::vector<const json*> parts{entry};
  std::string where = "pre_tokenizer";
  if (type_of(*entry, where) == "Sequence") {
    parts.clear();
    for (const json& part : as_array(need(*entry, "pretokenizers", where), where + ".pretokenizers"))
      parts.push_back(&part);
    where += ".pretokenizers";
  }
  if (parts.empty() || parts.size() > steps_max)
    refuse(where, fmt::format("has {} steps; 1 to {} are allowed", parts.size(), steps_max));
  std::vector<pre_tokenizer_step> steps;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string type = type_of(*parts[i], where);
    const bool last = i + 1 == parts.size();
    if (type != "Split" && type != "ByteLevel")
      refuse(where, fmt::format("has '{}', which is not supported; Split and ByteLevel are", type));
    if ((type == "ByteLevel") != last) refuse(where, "does not have ByteLevel once, as its last step");
    steps.push_back(last ? byte_level_step(*parts[i], where) : split_step(*parts[i], where));
  }
  return steps;
}

void check_decoder(const json* decoder, const std::string& where = "decoder") {
  if (decoder == nullptr) refuse(where, "is missing; ByteLevel is needed");
  const std::string type = type_of(*decoder, where);
  if (type == "Sequence") {
    const json& parts = as_array(need(*decoder, "decoders", where), where + ".decoders");
    if (parts.size() != 1)
      refuse(where + ".decoders", fmt::format("has {} steps; ByteLevel alone is supported", parts.size()));
    check_decoder(&parts[0], where + ".decoders[0]");
  } else if (type != "ByteLevel") {
    refuse(where + ".type", fmt::format("is '{}', which is not supported; ByteLevel is", type));
  }
}

// ---- post-processor: what is put around a text ----

void append_special(const json& processor, const json& entry, const std::string& where, std::vector<token_id>& out) {
  const std::string& name = as_string(need(as_object(entry, where), "id", where), where + ".id");
  const json& specials = as_object(need(processor, "special_tokens", where), where + ".special_tokens");
  const auto found = specials.find(name);
  if (found == specials.end())
    refuse(where, fmt::format("uses the special token '{}', which it does not define", name));
  const std::string inner = fmt::format("{}.special_tokens['{}'].ids", where, name);
  for (const json& id : as_array(need(as_object(*found, inner), "ids", inner), inner))
    out.push_back(as_id(id, inner));
}

void read_template(const json& processor, const std::string& where, tokenizer_definition& result) {
  bool behind_text = false;
  for (const json& part : as_array(need(processor, "single", where), where + ".single")) {
    as_object(part, where + ".single");
    if (const json* special = find(part, "SpecialToken")) {
      append_special(processor, *special, where, behind_text ? result.suffix : result.prefix);
    } else if (const json* text = find(part, "Sequence");
               text != nullptr && !behind_text && text->is_object() && text->value("id", json()) == "A") {
      behind_text = true;
    } else {
      refuse(where + ".single", fmt::format("has {}, which is not supported", part.dump().substr(0, 64)));
    }
  }
  if (!behind_text) refuse(where + ".single", "does not have the text itself");
}

void read_post_processor(const json* entry, const std::string& where, tokenizer_definition& result,
                         bool inside = false) {
  if (entry == nullptr) return;
  const std::string type = type_of(*entry, where);
  if (type == "ByteLevel") return;
  if (type == "TemplateProcessing") {
    if (!result.prefix.empty() || !result.suffix.empty()) refuse(where, "has two templates, which is not supported");
    read_template(*entry, where, result);
  } else if (type == "Sequence" && !inside) {
    for (const json& part : as_array(need(*entry, "processors", where), where + ".processors"))
      read_post_processor(&part, where + ".processors", result, true);
  } else {
    refuse(where + ".type",
           fmt::format("is '{}', which is not supported; ByteLevel, TemplateProcessing and one Sequence of them are",
                       type));
  }
}

json parse(std::string_view text) {
  if (const std::size_t depth = json_depth(text); depth > depth_max)
    throw tokenizer_error(fmt::format("the JSON is nested {} deep; {} is the most", depth, depth_max));
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    throw tokenizer_error(fmt::format("not valid JSON: {}", error.what()));
  }
}

}  // namespace

tokenizer_definition parse_tokenizer_definition(std::string_view json_text) {
  const json file = parse(json_text);
  as_object(file, "the file");
  tokenizer_definition result;
  if (const json* version = find(file, "version"); version != nullptr && *version != "1.0")
    refuse("version", fmt::format("is {}; \"1.0\" is supported", version->dump().substr(0, 64)));
  result.model = model_of(need(file, "model", "the file"));
  result.added_tokens = added_tokens_of(file);
  check_added_ids(result.added_tokens, result.model);
  result.nfc = normalizer_is_nfc(find(file, "normalizer"));
  result.pre_tokenizer = pre_tokenizer_of(find(file, "pre_tokenizer"));
  check_decoder(find(file, "decoder"));
  read_post_processor(find(file, "post_processor"), "post_processor", result);
  return result;
}

}  // namespace troupe
